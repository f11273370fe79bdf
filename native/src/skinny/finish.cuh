// Second stages: partial sums in slots are added in the order of their index, and what depends on the whole sum (scale, bias,
// activation, rounding) is done then.
//
// Tiling: a thread an output element, neighbours side by side in the slots. Limit: the bytes of the slots, from L2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/reduce.cuh"
#include "skinny/stack.cuh"
#include "skinny/tile.cuh"

namespace prunepeft::cuda {
constexpr int kFinishThreads = 256;

GPU_INLINE float add_slots(const float* slots, int count, int64_t stride) {
  float sum = 0;
  for (int i = 0; i < count; i++) sum += slots[i * stride];
  return sum;
}

template <class T>
struct FinishRowsArguments {
  const float* slots;  // [count, M, stack.columns]
  int count;
  int64_t M;
  Stack stack;    // s, rank, scale
  const T* bias;  // [stack.columns], or null
  const T* z;     // where the sum is a gradient by σ(z): z [M,stack.columns], so that σ'(z) enters; or null
  int64_t ldz;
  pp_activation activation;
};

struct FinishColumnsArguments {
  const float* slots;  // [count, stack.columns, N]
  int count;
  int64_t N;
  Stack stack;  // gradient, rank, scale
  /** gradient is [rank,N] rather than [N,rank]. */
  bool rank_major;
  bool accumulate;
};

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(kFinishThreads) finish_rows(const __grid_constant__ FinishRowsArguments<T> arguments) {
  const int columns = arguments.stack.columns;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= arguments.M * columns) return;
  const int64_t m = i / columns;
  const int column = static_cast<int>(i % columns);
  const Branch& branch = arguments.stack.branches[branch_of_column(arguments.stack, column)];
  float v = add_slots(arguments.slots + i, arguments.count, arguments.M * columns) * branch.scale;
  if (arguments.bias != nullptr) v += gpu::to_float(arguments.bias[column]);
  if (arguments.z != nullptr)
    v *= activation_slope(arguments.activation, gpu::to_float(arguments.z[m * arguments.ldz + column]));
  static_cast<T*>(branch.s)[m * branch.lds + column - branch.first_column] = gpu::from_float<T>(v);
}

static __global__ void __launch_bounds__(kFinishThreads)
    finish_columns(const __grid_constant__ FinishColumnsArguments arguments) {
  const int64_t N = arguments.N, i = static_cast<int64_t>(blockIdx.x) * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= N * arguments.stack.columns) return;
  const int64_t n = i % N;
  const int column = static_cast<int>(i / N);
  const Branch& branch = arguments.stack.branches[branch_of_column(arguments.stack, column)];
  const int rank = column - branch.first_column;
  float* to = branch.gradient + (arguments.rank_major ? rank * branch.ldg + n : n * branch.ldg + rank);
  const float v = add_slots(arguments.slots + i, arguments.count, N * arguments.stack.columns) * branch.scale;
  *to = arguments.accumulate ? *to + v : v;
}

/** One block: *sum = the sum of `count` slots, in an order that depends on `count` alone. */
static __global__ void __launch_bounds__(kFinishThreads) finish_sum(const double* slots, int64_t count, double* sum) {
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
}  // namespace prunepeft::cuda
