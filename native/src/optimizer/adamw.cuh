// AdamW's step and the copies of the weights in one pass.
//
// Tiling: a thread takes a group of eight weights, 16 bytes at a time where all buffers allow it. It looks its first weight up
// in the table of copies by bisection; a group that lies in one row of a copy is written as 16 bytes of a 16-bit type.
//
// Limit: 28 bytes a weight (w, m and v read and written, g read) and 2 for a 16-bit copy, over memory bandwidth.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/element.cuh"
#include "optimizer/adamw_element.h"

namespace prunepeft::cuda {
constexpr int kAdamWThreads = 256;
constexpr int64_t kAdamWBlock = int64_t{kAdamWThreads} * gpu::kGroup;

struct AdamWArguments {
  int64_t n;
  float* weights;
  const float* gradients;
  float* mean;
  float* square;
  bool aligned;  // all four
  AdamWFactors factors;
  const WeightCopy* copies;
  int64_t copy_count;
};

/** Eight elements of a buffer from `i` on; those past n are not touched. */
GPU_INLINE void load_some(const float* from, const AdamWArguments& arguments, int64_t i, float (&v)[gpu::kGroup]) {
  if (arguments.aligned && i + gpu::kGroup <= arguments.n) return gpu::load_group(from + i, v);
#pragma unroll
  for (int k = 0; k < gpu::kGroup; k++) v[k] = i + k < arguments.n ? from[i + k] : 0.0f;
}
GPU_INLINE void store_some(float* to, const AdamWArguments& arguments, int64_t i, const float (&v)[gpu::kGroup]) {
  if (arguments.aligned && i + gpu::kGroup <= arguments.n) return gpu::store_group(to + i, v);
#pragma unroll
  for (int k = 0; k < gpu::kGroup; k++)
    if (i + k < arguments.n) to[i + k] = v[k];
}

/** Writes the copies of eight weights from element i on. */
template <class T>
GPU_INLINE void store_copies(const AdamWArguments& arguments, int64_t i, const float (&w)[gpu::kGroup]) {
  int64_t c = copy_from(arguments.copies, arguments.copy_count, i);
  if (c == arguments.copy_count) return;
  const WeightCopy& first = arguments.copies[c];
  if (i >= first.offset && i + gpu::kGroup <= first.offset + first.size) {
    const int64_t row = (i - first.offset) / first.columns, column = (i - first.offset) % first.columns;
    T* to = static_cast<T*>(first.to) + row * first.ld + column;
    if (column + gpu::kGroup <= first.columns && reinterpret_cast<uintptr_t>(to) % gpu::kVectorBytes == 0)
      return gpu::store_group(to, w);
  }
#pragma unroll
  for (int k = 0; k < gpu::kGroup; k++) {
    while (c < arguments.copy_count && i + k >= arguments.copies[c].offset + arguments.copies[c].size) c++;
    if (c == arguments.copy_count) return;
    const WeightCopy& copy = arguments.copies[c];
    const int64_t place = i + k - copy.offset;
    if (place >= 0) static_cast<T*>(copy.to)[place / copy.columns * copy.ld + place % copy.columns] = gpu::from_float<T>(w[k]);
  }
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(kAdamWThreads) adamw(const __grid_constant__ AdamWArguments arguments) {
  const int64_t i = blockIdx.x * kAdamWBlock + static_cast<int64_t>(threadIdx.x) * gpu::kGroup;
  if (i >= arguments.n) return;
  float w[gpu::kGroup], g[gpu::kGroup], m[gpu::kGroup], v[gpu::kGroup];
  load_some(arguments.weights, arguments, i, w);
  load_some(arguments.gradients, arguments, i, g);
  load_some(arguments.mean, arguments, i, m);
  load_some(arguments.square, arguments, i, v);
#pragma unroll
  for (int k = 0; k < gpu::kGroup; k++) adamw_update(arguments.factors, w[k], g[k], m[k], v[k]);
  store_some(arguments.weights, arguments, i, w);
  store_some(arguments.mean, arguments, i, m);
  store_some(arguments.square, arguments, i, v);
  store_copies<T>(arguments, i, w);
}

/** The copies alone. */
template <class T>
__global__ void __launch_bounds__(kAdamWThreads) copy_weights(const __grid_constant__ AdamWArguments arguments) {
  const int64_t i = blockIdx.x * kAdamWBlock + static_cast<int64_t>(threadIdx.x) * gpu::kGroup;
  if (i >= arguments.n) return;
  float w[gpu::kGroup];
  load_some(arguments.weights, arguments, i, w);
  store_copies<T>(arguments, i, w);
}
}  // namespace prunepeft::cuda
