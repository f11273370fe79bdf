// Second stage of row products: partial sums in slots are added in the order of their index, and what depends on the whole sum
// (scale, bias, activation, rounding) is done then.
//
// Tiling: a thread an output element, neighbours side by side in the slots. Limit: the bytes of the slots, from L2.
#pragma once

#include "linear/cuda/activation.cuh"
#include "linear/cuda/stack.cuh"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
constexpr int kFinishThreads = 256;

GPU_INLINE float add_slots(const float* slots, int count, int64_t stride) {
  float sum = 0;
  for (int i = 0; i < count; i++) sum += slots[i * stride];
  return sum;
}

template <class T, class S = Stack>
struct FinishRowsArguments {
  const float* slots;  // [count, M, stack.columns]
  int count;
  int64_t M;
  S stack;        // s, rank, scale
  const T* bias;  // [stack.columns], or null
  const T* z;     // where the sum is a gradient by σ(z): z [M,stack.columns], so that σ'(z) enters; or null
  int64_t ldz;
  pp_activation activation;
  T* activated;  // [M, stack.columns] becomes σ of s, or null
};

/** Element i of the M x stack.columns sums, nothing of it fused; σ of it only if kActivates. */
template <bool kActivates, class T, class S>
GPU_INLINE void finish_row_element(const FinishRowsArguments<T, S>& arguments, int64_t i) {
  const int columns = arguments.stack.columns;
  const int64_t m = i / columns;
  const int column = static_cast<int>(i % columns);
  const StackedModule& module = arguments.stack.modules[module_of_column(arguments.stack, column)];
  float v = __fmul_rn(add_slots(arguments.slots + i, arguments.count, arguments.M * columns), module.scale);
  if (arguments.bias != nullptr) v = __fadd_rn(v, gpu::to_float(arguments.bias[column]));
  if (arguments.z != nullptr)
    v = __fmul_rn(v, activation_slope(arguments.activation, gpu::to_float(arguments.z[m * arguments.ldz + column])));
  const T rounded = gpu::from_float<T>(v);
  static_cast<T*>(module.s)[m * module.lds + column - module.first_column] = rounded;
  if (kActivates && arguments.activated != nullptr) arguments.activated[i] = activated(arguments.activation, rounded);
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(kFinishThreads) finish_rows(const __grid_constant__ FinishRowsArguments<T> arguments) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i < arguments.M * arguments.stack.columns) finish_row_element<true>(arguments, i);
}
}  // namespace prunepeft::cuda
