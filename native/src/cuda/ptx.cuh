// All inline PTX of the library, sm_80 and newer, each instruction with its twin in the emulator.
#pragma once

#include "cuda/gpu.cuh"
#include "cuda/tensor_map.h"

namespace prunepeft::ptx {
#if defined(__CUDACC__)
GPU_INLINE unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

/** d += a b for a 16x16 and a 16x8 fragment; the element type is named by the unused last argument. */
GPU_INLINE void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __nv_bfloat16) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

GPU_INLINE void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __half) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/** Four 8x8 matrices of 16-bit elements; lanes 8i to 8i+7 give the rows of matrix i, each 16 bytes of shared memory. */
GPU_INLINE void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

GPU_INLINE void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/** Copies `source_bytes` (0 to 16) to shared memory and zeroes the rest of 16 bytes; done after a commit and a wait. */
GPU_INLINE void cp_async16(void* target, const void* source, int source_bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(target)), "l"(source), "r"(source_bytes)
               : "memory");
}

GPU_INLINE void cp_async_commit() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}

/** Waits until at most `kPending` of this thread's groups are pending. */
template <int kPending>
GPU_INLINE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

/** 16 bytes to device memory by one store: of a vector put together in registers the compiler makes four stores of 4 bytes. */
GPU_INLINE void store_vector(void* to, const uint4& v) {
  asm volatile("st.global.v4.b32 [%0], {%1,%2,%3,%4};\n" ::"l"(__cvta_generic_to_global(to)), "r"(v.x), "r"(v.y), "r"(v.z),
               "r"(v.w)
               : "memory");
}

/** bits = 2 bits + 1 if number >= 2^32 - complement, else 2 bits: the carry of a sum, which costs two instructions. */
GPU_INLINE void append_carry(unsigned& bits, unsigned number, unsigned complement) {
  asm("{\n.reg .u32 sum;\nadd.cc.u32 sum, %1, %2;\naddc.u32 %0, %0, %0;\n}\n" : "+r"(bits) : "r"(number), "r"(complement));
}

/** Byte i of the result is 0xff or 0: the sign of byte (selector >> 4i) % 8 of `first` (0 to 3) and `second` (4 to 7). */
GPU_INLINE unsigned spread_signs(unsigned first, unsigned second, unsigned selector) {
  unsigned result;
  asm("prmt.b32 %0, %1, %2, %3;\n" : "=r"(result) : "r"(first), "r"(second), "r"(selector | 0x8888u));
  return result;
}

/** What this thread has done, and what it knows of others, comes before its next atomic, for whoever acquires that. */
GPU_INLINE void fence_release() {
  asm volatile("fence.acq_rel.gpu;\n" ::: "memory");
}

/** Reads a ticket: all that came before the fences of those who have counted on it now comes before this thread's next read. */
GPU_INLINE unsigned load_acquire(const unsigned* p) {
  unsigned v;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];\n" : "=r"(v) : "l"(__cvta_generic_to_global(p)) : "memory");
  return v;
}

// Of sm_90a alone: the bulk copy engine, its barriers in shared memory, and products by whole warpgroups.

/** A barrier in shared memory whose phases each end with `arrivals` arrivals and the bytes that were expected. */
GPU_INLINE void mbarrier_init(uint64_t* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

/** What this thread has written to shared memory, barriers too, comes before what the copy engine and warpgroups do there. */
GPU_INLINE void fence_proxy_async() {
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
}

/** The same of what this thread has written to device memory, or knows of what other blocks have. */
GPU_INLINE void fence_proxy_async_global() {
  asm volatile("fence.proxy.async.global;\n" ::: "memory");
}

GPU_INLINE void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(barrier)) : "memory");
}

/** Arrives, and lets the phase wait for so many bytes of bulk copies too. */
GPU_INLINE void mbarrier_arrive_expect(uint64_t* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}

/** Waits for the end of the barrier's phase of that parity; the first phase has parity 0, and the one before it has ended. */
GPU_INLINE void mbarrier_wait(uint64_t* barrier, unsigned parity) {
  unsigned done = 0;
  while (done == 0)
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n"
                 : "=r"(done)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
}

/** Copies the box of `map` at (row, column), which may lie outside the matrix; the barrier counts its bytes. One thread. */
GPU_INLINE void bulk_load(void* target, const cuda::TensorMap* map, int column, int row, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];\n" ::"r"(
          shared_address(target)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier))
      : "memory");
}

// Clusters of blocks, which read and write each other's shared memory by these alone. The blocks' shared memory is laid out
// alike.

/** This block's number in its cluster. */
GPU_INLINE unsigned cluster_rank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;\n" : "=r"(rank));
  return rank;
}

/** What this thread has initialised are barriers that the cluster's other blocks see after the next cluster barrier. */
GPU_INLINE void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
}

/** Waits for every thread of every block of the cluster. */
GPU_INLINE void cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;\n" ::: "memory");
}

/**
 * Arrives at the same barrier in the shared memory of block `rank`. Without a scope: with .release.cluster it would wait for
 * every write to device memory that is under way, and what is handed over here is shared memory that products have read.
 */
GPU_INLINE void mbarrier_arrive_at(uint64_t* barrier, unsigned rank) {
  asm volatile("{\n.reg .b32 r;\nmapa.shared::cluster.u32 r, %0, %1;\nmbarrier.arrive.shared::cluster.b64 _, [r];\n}\n" ::"r"(
                   shared_address(barrier)),
               "r"(rank)
               : "memory");
}

/** As bulk_load, to the same place in each block whose bit `mask` has; each block's barrier counts the bytes. */
GPU_INLINE void bulk_load_multicast(void* target, const cuda::TensorMap* map, int column, int row, uint64_t* barrier,
                                    unsigned mask) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], "
      "[%4], %5;\n" ::"r"(shared_address(target)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"(static_cast<uint16_t>(mask))
      : "memory");
}

/** The registers that each thread of this warpgroup may have from here on; all of its warps say so. */
template <int kRegisters>
GPU_INLINE void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
}
template <int kRegisters>
GPU_INLINE void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
}

/** Before the first product on registers that anything else has written. */
GPU_INLINE void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory");
}

GPU_INLINE void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
}

/** Waits until at most `kPending` of the committed groups are pending. */
template <int kPending>
GPU_INLINE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
}

/** Keeps the compiler from moving reads and writes of an accumulator across this place. */
template <int kCount>
GPU_INLINE void pin(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) asm volatile("" : "+f"(d[i])::"memory");
}

// Register lists of wgmma: "%0" to "%127", and the operands for them.
#define PP_TEN(tens) \
  "%" tens "0,%" tens "1,%" tens "2,%" tens "3,%" tens "4,%" tens "5,%" tens "6,%" tens "7,%" tens "8,%" tens "9,"
#define PP_TO_7 "%0,%1,%2,%3,%4,%5,%6,%7"
#define PP_TO_15 PP_TEN("") "%10,%11,%12,%13,%14,%15"
#define PP_TO_23 PP_TEN("") PP_TEN("1") "%20,%21,%22,%23"
#define PP_TO_29 PP_TEN("") PP_TEN("1") PP_TEN("2")
#define PP_TO_31 PP_TO_29 "%30,%31"
#define PP_TO_119 \
  PP_TO_29 PP_TEN("3") PP_TEN("4") PP_TEN("5") PP_TEN("6") PP_TEN("7") PP_TEN("8") PP_TEN("9") PP_TEN("10") PP_TEN("11")
#define PP_FOUR(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define PP_EIGHT(d, i) PP_FOUR(d, i), PP_FOUR(d, i + 4)
#define PP_SIXTEEN(d, i) PP_FOUR(d, i), PP_FOUR(d, i + 4), PP_FOUR(d, i + 8), PP_FOUR(d, i + 12)
#define PP_THIRTY_TWO(d, i) PP_SIXTEEN(d, i), PP_SIXTEEN(d, i + 16)
#define PP_TWENTY_FOUR(d, i) PP_SIXTEEN(d, i), PP_EIGHT(d, i + 16)
#define PP_WGMMA_256(Type, type)                                                                                      \
  template <bool kColumnsInner>                                                                                       \
  GPU_INLINE void wgmma_m64n256k16(float(&d)[128], uint64_t a, uint64_t b, Type) {                                    \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type \
                 " {" PP_TO_119 "%120,%121,%122,%123,%124,%125,%126,%127}, %128, %129, p, 1, 1, 0, %130;\n}\n"        \
                 : PP_THIRTY_TWO(d, 0), PP_THIRTY_TWO(d, 32), PP_THIRTY_TWO(d, 64), PP_THIRTY_TWO(d, 96)              \
                 : "l"(a), "l"(b), "n"(kColumnsInner ? 1 : 0)                                                         \
                 : "memory");                                                                                         \
  }
#define PP_WGMMA_64(Type, type)                                                                                      \
  template <bool kColumnsInner>                                                                                      \
  GPU_INLINE void wgmma_m64n64k16(float(&d)[32], uint64_t a, uint64_t b, Type) {                                     \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type \
                 " {" PP_TO_31 "}, %32, %33, p, 1, 1, 0, %34;\n}\n"                                                  \
                 : PP_THIRTY_TWO(d, 0)                                                                               \
                 : "l"(a), "l"(b), "n"(kColumnsInner ? 1 : 0)                                                        \
                 : "memory");                                                                                        \
  }
#define PP_WGMMA_256_BY_REGISTERS(Type, type)                                                                                \
  template <bool kColumnsInner>                                                                                              \
  GPU_INLINE void wgmma_m64n256k16(float(&d)[128], const unsigned(&a)[4], uint64_t b, Type) {                                \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type        \
                 " {" PP_TO_119 "%120,%121,%122,%123,%124,%125,%126,%127}, {%128,%129,%130,%131}, %132, p, 1, 1, %133;\n}\n" \
                 : PP_THIRTY_TWO(d, 0), PP_THIRTY_TWO(d, 32), PP_THIRTY_TWO(d, 64), PP_THIRTY_TWO(d, 96)                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kColumnsInner ? 1 : 0)                            \
                 : "memory");                                                                                                \
  }
#define PP_WGMMA_NARROW(Type, type, columns, registers, list, operands, by_descriptor, by_adds, by_registers)                  \
  template <bool kRowsInner, bool kColumnsInner, bool kAdds = true>                                                            \
  GPU_INLINE void wgmma_narrow(float(&d)[registers], uint64_t a, uint64_t b, Type) {                                           \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " by_adds ", 0;\nwgmma.mma_async.sync.aligned.m64n" columns "k16.f32." type \
                 "." type " {" list "}, " by_descriptor ";\n}\n"                                                               \
                 : operands                                                                                                    \
                 : "l"(a), "l"(b), "n"(kRowsInner ? 1 : 0), "n"(kColumnsInner ? 1 : 0), "n"(kAdds ? 1 : 0)                     \
                 : "memory");                                                                                                  \
  }                                                                                                                            \
  GPU_INLINE void wgmma_narrow(float(&d)[registers], const unsigned(&a)[4], uint64_t b, Type) {                                \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n" columns "k16.f32." type "." type  \
                 " {" list "}, " by_registers ", p, 1, 1, 0;\n}\n"                                                             \
                 : operands                                                                                                    \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                                                          \
                 : "memory");                                                                                                  \
  }
/**
 * d += A B by a warpgroup, later: A [64,16] and B [16,256] (or [16,64]) lie where their descriptors say; B has its inner
 * dimension along rows of shared memory, or (kColumnsInner) its columns. The element type is named by the unused last argument.
 */
PP_WGMMA_256(__nv_bfloat16, "bf16")
PP_WGMMA_256(__half, "f16")
PP_WGMMA_64(__nv_bfloat16, "bf16")
PP_WGMMA_64(__half, "f16")
/** A in registers, as mma_m16n8k16 has it for each warp's 16 rows: unchanged until the wait. */
PP_WGMMA_256_BY_REGISTERS(__nv_bfloat16, "bf16")
PP_WGMMA_256_BY_REGISTERS(__half, "f16")
/**
 * The same of 16, 32, 48 or 64 columns, as many as `d` has room for: with A in registers and B's inner dimension along rows; or
 * by descriptors, where A too may have its inner dimension along columns (kRowsInner), and d = A B unless kAdds.
 */
PP_WGMMA_NARROW(__nv_bfloat16, "bf16", "16", 8, PP_TO_7, PP_EIGHT(d, 0), "%8, %9, p, 1, 1, %10, %11", "%12",
                "{%8,%9,%10,%11}, %12")
PP_WGMMA_NARROW(__half, "f16", "16", 8, PP_TO_7, PP_EIGHT(d, 0), "%8, %9, p, 1, 1, %10, %11", "%12", "{%8,%9,%10,%11}, %12")
PP_WGMMA_NARROW(__nv_bfloat16, "bf16", "32", 16, PP_TO_15, PP_SIXTEEN(d, 0), "%16, %17, p, 1, 1, %18, %19", "%20",
                "{%16,%17,%18,%19}, %20")
PP_WGMMA_NARROW(__half, "f16", "32", 16, PP_TO_15, PP_SIXTEEN(d, 0), "%16, %17, p, 1, 1, %18, %19", "%20",
                "{%16,%17,%18,%19}, %20")
PP_WGMMA_NARROW(__nv_bfloat16, "bf16", "48", 24, PP_TO_23, PP_TWENTY_FOUR(d, 0), "%24, %25, p, 1, 1, %26, %27", "%28",
                "{%24,%25,%26,%27}, %28")
PP_WGMMA_NARROW(__half, "f16", "48", 24, PP_TO_23, PP_TWENTY_FOUR(d, 0), "%24, %25, p, 1, 1, %26, %27", "%28",
                "{%24,%25,%26,%27}, %28")
PP_WGMMA_NARROW(__nv_bfloat16, "bf16", "64", 32, PP_TO_31, PP_THIRTY_TWO(d, 0), "%32, %33, p, 1, 1, %34, %35", "%36",
                "{%32,%33,%34,%35}, %36")
PP_WGMMA_NARROW(__half, "f16", "64", 32, PP_TO_31, PP_THIRTY_TWO(d, 0), "%32, %33, p, 1, 1, %34, %35", "%36",
                "{%32,%33,%34,%35}, %36")
#undef PP_WGMMA_NARROW
#undef PP_WGMMA_256_BY_REGISTERS
#undef PP_WGMMA_64
#undef PP_WGMMA_256
#undef PP_THIRTY_TWO
#undef PP_TWENTY_FOUR
#undef PP_SIXTEEN
#undef PP_EIGHT
#undef PP_FOUR
#undef PP_TO_119
#undef PP_TO_31
#undef PP_TO_29
#undef PP_TO_23
#undef PP_TO_15
#undef PP_TO_7
#undef PP_TEN

#else

inline void mma(simt::Op op, float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], SIMT_SITE) {
  const unsigned operands[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  simt::Lane lane;
  lane.out = d;
  lane.in = operands;
  simt::collective(op, gpu::kFullMask, &lane, SIMT_HERE);
}

inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __nv_bfloat16, SIMT_SITE) {
  mma(simt::Op::kMmaBf16, d, a, b, SIMT_HERE);
}

inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __half, SIMT_SITE) {
  mma(simt::Op::kMmaF16, d, a, b, SIMT_HERE);
}

inline void ldmatrix(simt::Op op, unsigned (&r)[4], const void* row, SIMT_SITE) {
  simt::Lane lane;
  lane.out = r;
  lane.in = row;
  simt::collective(op, gpu::kFullMask, &lane, SIMT_HERE);
}

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, SIMT_SITE) {
  ldmatrix(simt::Op::kLdMatrix, r, row, SIMT_HERE);
}

inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, SIMT_SITE) {
  ldmatrix(simt::Op::kLdMatrixTrans, r, row, SIMT_HERE);
}

inline void cp_async16(void* target, const void* source, int source_bytes, SIMT_SITE) {
  simt::cp_async16(target, source, source_bytes, SIMT_HERE);
}

inline void cp_async_commit() {
  simt::cp_async_commit();
}

template <int kPending>
void cp_async_wait(SIMT_SITE) {
  simt::cp_async_wait(kPending, SIMT_HERE);
}

inline void store_vector(void* to, const uint4& v) {
  *static_cast<uint4*>(to) = v;
}

inline void append_carry(unsigned& bits, unsigned number, unsigned complement) {
  bits = 2 * bits + static_cast<unsigned>((uint64_t{number} + complement) >> 32);
}

inline unsigned spread_signs(unsigned first, unsigned second, unsigned selector) {
  const uint64_t bytes = uint64_t{second} << 32 | first;
  unsigned result = 0;
  for (int i = 0; i < 4; i++)
    if ((bytes >> (8 * (selector >> 4 * i & 7) + 7) & 1) != 0) result |= 0xffu << 8 * i;
  return result;
}

inline void fence_release() {
  simt::fence();
}

inline unsigned load_acquire(const unsigned* p, SIMT_SITE) {
  return simt::load_acquire(p, SIMT_HERE);
}

inline unsigned shared_address(const void* p) {
  return simt::shared_address(p);
}

inline void mbarrier_init(uint64_t* barrier, unsigned arrivals, SIMT_SITE) {
  simt::mbarrier_init(barrier, arrivals, SIMT_HERE);
}

inline void fence_proxy_async() {
  simt::fence_proxy_async(false);
}

inline void fence_proxy_async_global() {
  simt::fence_proxy_async(true);
}

inline void mbarrier_arrive(uint64_t* barrier, SIMT_SITE) {
  simt::mbarrier_arrive(barrier, 0, SIMT_HERE);
}

inline void mbarrier_arrive_expect(uint64_t* barrier, unsigned bytes, SIMT_SITE) {
  simt::mbarrier_arrive(barrier, bytes, SIMT_HERE);
}

inline void mbarrier_wait(uint64_t* barrier, unsigned parity, SIMT_SITE) {
  simt::mbarrier_wait(barrier, parity, SIMT_HERE);
}

inline void bulk_load(void* target, const cuda::TensorMap* map, int column, int row, uint64_t* barrier, SIMT_SITE) {
  simt::bulk_load(target, map, column, row, barrier, SIMT_HERE);
}

inline unsigned cluster_rank() {
  return simt::cluster_rank();
}

inline void fence_mbarrier_init() {
  simt::fence_mbarrier_init();
}

inline void cluster_barrier(SIMT_SITE) {
  simt::cluster_barrier(SIMT_HERE);
}

inline void mbarrier_arrive_at(uint64_t* barrier, unsigned rank, SIMT_SITE) {
  simt::mbarrier_arrive_at(barrier, rank, SIMT_HERE);
}

inline void bulk_load_multicast(void* target, const cuda::TensorMap* map, int column, int row, uint64_t* barrier, unsigned mask,
                                SIMT_SITE) {
  simt::bulk_load_multicast(target, map, column, row, barrier, mask, SIMT_HERE);
}

template <int kRegisters>
void lower_registers(SIMT_SITE) {
  simt::set_registers(kRegisters, false, SIMT_HERE);
}
template <int kRegisters>
void raise_registers(SIMT_SITE) {
  simt::set_registers(kRegisters, true, SIMT_HERE);
}

inline void wgmma_fence() {
  simt::wgmma_fence();
}

inline void wgmma_commit() {
  simt::wgmma_commit();
}

template <int kPending>
void wgmma_wait(SIMT_SITE) {
  simt::wgmma_wait(kPending, SIMT_HERE);
}

template <int kCount>
void pin(float (&)[kCount]) {}

template <bool kColumnsInner, class T>
void wgmma_m64n256k16(float (&d)[128], uint64_t a, uint64_t b, T, SIMT_SITE) {
  simt::wgmma({a, b, 256, kColumnsInner, std::is_same_v<T, __half>}, d, SIMT_HERE);
}

template <bool kColumnsInner, class T>
void wgmma_m64n256k16(float (&d)[128], const unsigned (&a)[4], uint64_t b, T, SIMT_SITE) {
  simt::wgmma({0, b, 256, kColumnsInner, std::is_same_v<T, __half>, a}, d, SIMT_HERE);
}

template <bool kRowsInner, bool kColumnsInner, bool kAdds = true, int kSums, class T>
void wgmma_narrow(float (&d)[kSums], uint64_t a, uint64_t b, T, SIMT_SITE) {
  simt::wgmma({a, b, 2 * kSums, kColumnsInner, std::is_same_v<T, __half>, nullptr, kRowsInner, kAdds}, d, SIMT_HERE);
}

template <int kSums, class T>
void wgmma_narrow(float (&d)[kSums], const unsigned (&a)[4], uint64_t b, T, SIMT_SITE) {
  simt::wgmma({0, b, 2 * kSums, false, std::is_same_v<T, __half>, a}, d, SIMT_HERE);
}

template <bool kColumnsInner, class T>
void wgmma_m64n64k16(float (&d)[32], uint64_t a, uint64_t b, T, SIMT_SITE) {
  simt::wgmma({a, b, 64, kColumnsInner, std::is_same_v<T, __half>}, d, SIMT_HERE);
}
#endif

/**
 * Descriptor, for wgmma, of an operand in shared memory whose rows are 128 bytes, swizzled as by a tensor map. `start` is its
 * first element; the block of 64 elements by 8 rows that holds it starts at a multiple of 1024 bytes. `stride_bytes` lie
 * between groups of eight rows; `leading_bytes` between groups of 64 columns, where columns are inner, and else they mean
 * nothing.
 */
GPU_INLINE uint64_t swizzled_operand(const void* start, unsigned leading_bytes, unsigned stride_bytes) {
  constexpr uint64_t kSwizzle128Bytes = 1;
  return (shared_address(start) & 0x3ffffu) >> 4 | static_cast<uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<uint64_t>(stride_bytes >> 4) << 32 | kSwizzle128Bytes << 62;
}
}  // namespace prunepeft::ptx
