// Launches of the up product.
#include "linear/cuda/up.cuh"

#include "linear/cuda/launch.cuh"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
/** One block: *sum = the sum of `count` slots, in an order that depends on `count` alone. */
__global__ void __launch_bounds__(kFinishThreads) finish_sum(const double* slots, int64_t count, double* sum) {
  constexpr int kWarps = kFinishThreads / gpu::kWarp;
  GPU_SHARED(double[kWarps], warp_sums);
  const int thread = static_cast<int>(threadIdx.x);
  double v = 0;
  for (int64_t i = thread; i < count; i += kFinishThreads) v += slots[i];
  v = gpu::warp_sum(v);
  if (thread % gpu::kWarp == 0) warp_sums[thread / gpu::kWarp] = v;
  __syncthreads();
  if (thread != 0) return;
  v = 0;
  for (int i = 0; i < kWarps; i++) v += warp_sums[i];
  *sum = v;
}

namespace {
template <class T>
bool whole_vectors(const StackedModule& module) {
  return module.rank % gpu::kPerVector<T> == 0;
}

template <class T>
cudaError_t launch_up(const UpCall& call, double* slots, cudaStream_t stream) {
  int64_t largest_rank = 0;
  for (int i = 0; i < call.stack.count; i++) largest_rank = std::max<int64_t>(largest_rank, call.stack.modules[i].rank);
  UpArguments<T> arguments = {};
  arguments.M = call.M;
  arguments.N = call.N;
  arguments.stack = call.stack;
  arguments.p_aligned = s_aligned<T>(call.stack);
  arguments.q_aligned = a_aligned<T>(call.stack);
  arguments.rank_major = call.rank_major;
  arguments.dropout = call.dropout;
  arguments.keys = philox_keys(dropout_key(call.dropout.seed));
  arguments.base = static_cast<const T*>(call.base);
  arguments.ldbase = call.ldbase;
  arguments.base_step = Up::kRowStep * call.ldbase;
  arguments.bias = static_cast<const T*>(call.bias);
  arguments.out = static_cast<T*>(call.out);
  arguments.ldout = call.ldout;
  arguments.out_step = Up::kRowStep * call.ldout;
  arguments.out_aligned = gpu::rows_aligned<T>(call.base, call.ldbase) && gpu::rows_aligned<T>(call.out, call.ldout);
  arguments.row_mask = call.row_mask;
  arguments.magnitudes = call.magnitude != nullptr ? slots : nullptr;
  const int64_t blocks = up_blocks(call.M, call.N);
  if (blocks != 0) {
    const bool masked = call.dropout.threshold != 0;
    const bool aligned = arguments.p_aligned && arguments.q_aligned && arguments.out_aligned && call.N % gpu::kGroup == 0 &&
                         std::all_of(call.stack.modules, call.stack.modules + call.stack.count, whole_vectors<T>) &&
                         call.magnitude == nullptr;
    const auto kernel = aligned  ? masked ? up<T, true, true> : up<T, true, false>
                         : masked ? up<T, false, true>
                                 : up<T, false, false>;
    const cudaError_t error = gpu::launch(kernel, blocks, Up::kThreads, Up::shared_bytes<T>(largest_rank), stream, arguments);
    if (error != cudaSuccess) return error;
  }
  if (call.magnitude == nullptr) return cudaSuccess;
  return gpu::launch(finish_sum, 1, kFinishThreads, 0, stream, slots, blocks, call.magnitude);
}
}  // namespace

int64_t magnitude_slots(int64_t M, int64_t N) {
  return up_blocks(M, N);
}

cudaError_t run_up(const UpCall& call, double* slots, cudaStream_t stream) {
  return dispatch(call.dtype, [&](auto element) { return launch_up<decltype(element)>(call, slots, stream); });
}
}  // namespace prunepeft::cuda
