// All inline PTX of the library, sm_80 and newer, each instruction with its twin in the emulator.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/gpu.cuh"

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

inline void fence_release() {
  simt::fence();
}

inline unsigned load_acquire(const unsigned* p, SIMT_SITE) {
  return simt::load_acquire(p, SIMT_HERE);
}
#endif
}  // namespace prunepeft::ptx
