// SIMT emulator, for tests: runs CUDA kernels, compiled by the host compiler, on the CPU.
//
// A block's threads are fibers that switch at barriers, shuffles and warp-wide instructions, in an order drawn from a seed;
// blocks run one after another, in an order drawn from the same seed. Kernel sources are compiled with -fsanitize=thread but
// linked without its library: the emulator defines the callbacks, so every load and store passes through a shadow memory.
//
// The first fault of a launch ends it; cudaGetLastError() is then cudaErrorLaunchFailure, and cudaGetErrorString() or
// take_report() say what, in which file and line, by which block and thread. Faults it knows: accesses out of bounds; reads of
// memory nobody wrote; reads and writes of a pending cp.async target; races within a warp, a block, and between blocks (a
// fence before an atomic, and a fence after one or an acquire load, order them); threads at different barriers, or some gone;
// warp operations of lanes that have left or stand elsewhere; misaligned vector copies; undefined behaviour; loops without end.
//
// Of compute capability 9.0 it knows mbarriers, bulk copies of swizzled boxes and products by warpgroups, and reports products
// of what has not arrived or was not waited for, copies onto what a product may yet read, and accumulators read too early (as
// NaN). The blocks of a cluster run side by side: they have a barrier, copies to several of them, and arrivals at each other's
// mbarriers; those that no cluster barrier orders are reported. What threads have written and the copy engine or a product then
// reads must have been fenced for these by the writer, and ordered after that. A block has registers for what its threads may
// have at most if it is alone on its multiprocessor; warps that wait for more than others give back wait for ever.
//
// On request it counts sectors, bank conflicts and bytes through memory: count.h.
//
// Work waits in its stream until the host waits for it, and is then done in a random order that the streams allow: stream.cpp.
// A captured stream records launches, which each launch of the graph runs anew.
//
// What it cannot show: errors inside PTX strings, a host twin that is wrong in the same way as its kernel, tensor-core
// rounding, occupancy, timing, streams whose work runs side by side. A block that waits for a later one has a
// loop without end. The shadow tracks units of two bytes: two threads that write the two bytes of one unit are reported as a
// race.
#pragma once

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cuda_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __grid_constant__

/** The caller's position, as two trailing default arguments. */
#define SIMT_SITE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()
#define SIMT_HERE file_, line_

namespace simt {
/** Orders of threads, blocks and streams follow from the seed. */
void set_seed(uint64_t seed);
/** The first fault since the last call, or "". Waits for all streams. */
std::string take_report();
/**
 * Lets kernels use host memory that cudaMalloc did not give, without any check: for programs whose buffers come from an
 * allocator that the emulator does not know.
 */
void admit_host_memory();
/** Of the emulated device: its compute capability's first number, 8 at first. Of 9 it knows what is listed above. */
void set_compute_major(int major);
/** So many multiprocessors it says to have, 2 at first. */
void set_multiprocessors(int count);
/** CUDA's version that the driver is for, 13000 at first, which is the runtime's; with a lower one, or 0 for no driver, devices
 * cannot be had. */
void set_driver_version(int version);
/** 1 at first; up to 4, or none. Memory, streams and kernels are the same on all of them. */
void set_device_count(int count);
/** What the driver answers when it is asked for a function; cudaErrorNotSupported: it does not know it. cudaSuccess at first.
 */
void set_driver_answer(cudaError_t answer);
/** How often it was asked. */
int driver_questions();
/** Has the n-th call from now on fail that takes device memory, for a buffer, a stream or an event, and with `and_later` all
 * that follow, as where memory is full; 0: none. Its error stays, as on a device, until somebody calls cudaGetLastError. */
void fail_allocation(int n, bool and_later = false);
/** Whether one has failed since. */
bool allocation_failed();
/** Takes all kernels' code from the device, which is loaded at the first use of each: not during a capture. */
void unload_kernels();
/** How often that was done. */
uint64_t unloadings();
/** What the driver says to a tensor map that it would make, CUDA_SUCCESS at first. */
void set_tensor_map_answer(CUresult answer);
/** Marks device memory as never written, as it is after cudaMalloc. */
void forget(const void* pointer, size_t bytes);

struct Parameter {
  const void* value;
  size_t bytes;
};
struct Launch {
  const void* kernel;
  dim3 grid, block;
  unsigned cluster;  // blocks side by side form clusters of so many
  size_t dynamic_shared_bytes;
  size_t most_named_bytes;  // of shared memory that is not dynamic
  std::vector<Parameter> parameters;
};
/** Runs a launch, each thread of which makes the call. */
void run(const Launch& launch, void (*call)(void*), void* context);
/** Has each launch go to `by`, which calls `run` to have it run here and may look at it, and at memory, before and after. */
void read_launches(std::function<void(const Launch& launch, const std::function<void()>& run)> by);
/** Whether work waits in its stream, as it does at first; else each call does its work. */
void defer_streams(bool deferred);
/** Does all work that waits. */
void finish_streams();
/** Leaves the work to its stream, or records it if the stream is captured. */
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
/**
 * Reads a launch's attributes, and how much shared memory its kernel may have by name: without asking for more, of 48 KB what
 * the launch leaves; else of all that a block may have what was asked for leaves. What a device refuses stays as the last error
 * too.
 */
cudaError_t check_launch(const cudaLaunchConfig_t& config, Launch* launch);

void* shared_array(const void* tag, size_t bytes, size_t alignment);
void* dynamic_shared();

enum class Op {
  kSyncWarp,
  kShuffle,
  kShuffleUp,
  kShuffleDown,
  kShuffleXor,
  kBallot,
  kMmaBf16,
  kMmaF16,
  kLdMatrix,
  kLdMatrixTrans,
  kConverge
};
/** What one lane brings to a warp-wide operation. */
struct Lane {
  void* out = nullptr;
  const void* in = nullptr;
  uint64_t value = 0;
  int argument = 0;
  int width = 32;
};
void collective(Op op, unsigned mask, Lane* lane, const char* file, int line);
void barrier(const char* file, int line);
void fence();
/** Copies `source_bytes` and zeroes the rest of 16 bytes; the copy is made at the wait, until then the target holds 0xFF. */
void cp_async16(void* target, const void* source, int source_bytes, const char* file, int line);
void cp_async_commit();
void cp_async_wait(int pending_groups, const char* file, int line);

// Of compute capability 9.0; hopper.h says what is checked.

/** An address as instructions know it that have shared memory to themselves. */
unsigned shared_address(const void* pointer);
void mbarrier_init(uint64_t* barrier, unsigned arrivals, const char* file, int line);
/** Of what this thread has written to shared memory, or to device memory (`global`). */
void fence_proxy_async(bool global);
/** For the cluster's other blocks, as the other is for the copy engine. */
void fence_mbarrier_init();
/** Expects so many bytes more, and arrives. */
void mbarrier_arrive(uint64_t* barrier, unsigned expected_bytes, const char* file, int line);
void mbarrier_wait(uint64_t* barrier, unsigned parity, const char* file, int line);
/** Arrives at the barrier that lies at the same place in the shared memory of the cluster's block `rank`. */
void mbarrier_arrive_at(uint64_t* barrier, unsigned rank, const char* file, int line);
void bulk_load(void* target, const void* map, int column, int row, uint64_t* barrier, const char* file, int line);
/** The copy comes to the same place in each block of the cluster that the mask names, and to its barrier there. */
void bulk_load_multicast(void* target, const void* map, int column, int row, uint64_t* barrier, unsigned mask, const char* file,
                         int line);
/** Of the current block in its cluster. */
unsigned cluster_rank();
void cluster_barrier(const char* file, int line);
/** d += A B of 64 rows, so many columns and an inner dimension of 16; A and B by their descriptors, or A in registers. */
struct WarpgroupProduct {
  uint64_t a, b;
  int columns;
  bool columns_inner;                   // of B: rows of shared memory run along its columns
  bool half;                            // else bf16
  const unsigned* registers = nullptr;  // the thread's four of A, which are there until the product is waited for; or null
  bool rows_inner = false;              // of A: rows of shared memory run along its rows
  bool adds = true;                     // else D is overwritten
};
/** setmaxnreg: so many registers for each of the warp's threads, more than before (`raises`) or fewer. */
void set_registers(unsigned registers, bool raises, const char* file, int line);
void wgmma(const WarpgroupProduct& product, float* d, const char* file, int line);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int pending_groups, const char* file, int line);

/** Enters an atomic update into the shadow. */
void atomic_access(void* pointer, size_t bytes, const char* file, int line);
/** Enters an atomic read, and takes over what the fences before updates of that address have passed on. */
void acquire_access(const void* pointer, size_t bytes, const char* file, int line);

template <class T>
T warp_value(Op op, unsigned mask, T value, int argument, int width, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffled value has at most 8 bytes");
  Lane lane;
  __builtin_memcpy(&lane.value, &value, sizeof value);
  lane.argument = argument;
  lane.width = width;
  collective(op, mask, &lane, file, line);
  __builtin_memcpy(&value, &lane.value, sizeof value);
  return value;
}

/** *pointer = update(*pointer), and the old value. Not instrumented: atomic_access has entered the access already. */
template <class T, class Update>
__attribute__((noinline, no_sanitize("thread"))) T atomic_update(T* pointer, Update update, const char* file, int line) {
  atomic_access(pointer, sizeof(T), file, line);
  const T old = *pointer;
  *pointer = update(old);
  return old;
}

template <class T>
__attribute__((noinline, no_sanitize("thread"))) T load_acquire(const T* pointer, const char* file, int line) {
  acquire_access(pointer, sizeof(T), file, line);
  return *pointer;
}
}  // namespace simt

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

inline void __syncthreads(SIMT_SITE) {
  simt::barrier(SIMT_HERE);
}
inline void __syncwarp(unsigned mask = ~0u, SIMT_SITE) {
  simt::Lane lane;
  simt::collective(simt::Op::kSyncWarp, mask, &lane, SIMT_HERE);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_SITE) {
  return simt::warp_value(simt::Op::kShuffle, mask, value, source, width, SIMT_HERE);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_SITE) {
  return simt::warp_value(simt::Op::kShuffleUp, mask, value, static_cast<int>(delta), width, SIMT_HERE);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_SITE) {
  return simt::warp_value(simt::Op::kShuffleDown, mask, value, static_cast<int>(delta), width, SIMT_HERE);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, SIMT_SITE) {
  return simt::warp_value(simt::Op::kShuffleXor, mask, value, lane_mask, width, SIMT_HERE);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_SITE) {
  return static_cast<unsigned>(simt::warp_value<uint64_t>(simt::Op::kBallot, mask, predicate != 0, 0, 32, SIMT_HERE));
}
inline int __any_sync(unsigned mask, int predicate, SIMT_SITE) {
  return __ballot_sync(mask, predicate, SIMT_HERE) != 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMT_SITE) {
  return __ballot_sync(mask, !predicate, SIMT_HERE) == 0;
}
inline void __threadfence() {
  simt::fence();
}

// Integer atomics, of int, unsigned and unsigned long long.
#define SIMT_ATOMIC(name, Type, result)                                                                \
  inline Type name(Type* pointer, Type value, SIMT_SITE) {                                             \
    return simt::atomic_update(                                                                        \
        pointer, [value]([[maybe_unused]] Type old) { return static_cast<Type>(result); }, SIMT_HERE); \
  }
#define SIMT_ATOMICS(name, result) \
  SIMT_ATOMIC(name, int, result)   \
  SIMT_ATOMIC(name, unsigned, result) SIMT_ATOMIC(name, unsigned long long, result)
SIMT_ATOMICS(atomicAdd, old + value)
SIMT_ATOMICS(atomicMin, value < old ? value : old)
SIMT_ATOMICS(atomicMax, old < value ? value : old)
SIMT_ATOMICS(atomicAnd, old& value)
SIMT_ATOMICS(atomicOr, old | value)
SIMT_ATOMICS(atomicXor, old ^ value)
SIMT_ATOMICS(atomicExch, value)
#undef SIMT_ATOMICS
#undef SIMT_ATOMIC
template <class T>
T atomicCAS(T* pointer, std::common_type_t<T> compare, std::common_type_t<T> value, SIMT_SITE) {
  static_assert(std::is_integral_v<T>, "atomicCAS is emulated for integers");
  return simt::atomic_update(
      pointer, [=](T old) { return old == compare ? value : old; }, SIMT_HERE);
}
float atomicAdd(float*, float) = delete;  // their order would change results from run to run
double atomicAdd(double*, double) = delete;

// With the rounding that they name: the emulator's sources are compiled without contraction.
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
inline float __uint_as_float(unsigned u) {
  return simt::bit_cast<float>(u);
}
inline unsigned __float_as_uint(float f) {
  return simt::bit_cast<unsigned>(f);
}

namespace simt {
template <class... Parameters>
struct Call {
  void (*kernel)(Parameters...);
  std::tuple<Parameters...> values;
};
}  // namespace simt

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  using Call = simt::Call<Parameters...>;
  simt::Launch launch = {
      reinterpret_cast<const void*>(kernel), config->gridDim, config->blockDim, 1, config->dynamicSmemBytes, 0, {}};
  const cudaError_t error = simt::check_launch(*config, &launch);
  if (error != cudaSuccess) return error;
  return simt::enqueue(config->stream, [launch, call = Call{kernel, {static_cast<Parameters>(arguments)...}}] {
    Call own = call;  // kernels may read their arguments, on the host's stack, and nothing else of the host's
    simt::Launch with_values = launch;
    std::apply([&](const auto&... value) { with_values.parameters = {{&value, sizeof value}...}; }, own.values);
    simt::run(
        with_values,
        [](void* context) {
          auto* const here = static_cast<Call*>(context);
          std::apply(here->kernel, here->values);
        },
        &own);
  });
}
