// Tiles in shared memory: how they are padded and filled.
//
// A tile is filled by cp.async, 16 bytes at a time, where its source allows it, else element by element; either way what lies
// outside the source becomes zero, so that kernels need no bounds in their products. The caller commits, waits and
// synchronises.
#pragma once

#include "cuda/element.cuh"
#include "cuda/ptx.cuh"
#include "prunepeft/adapter.h"

namespace prunepeft::cuda {
/** Leading dimension of a tile: 16 bytes more than its rows, so that eight rows at one column hit different banks. */
template <class T>
__host__ __device__ constexpr int padded(int columns) {
  return columns + gpu::kPerVector<T>;
}

/** A matrix, or a part of one, with rows x columns elements. Counts may be negative where a tile lies outside. */
template <class T>
struct Source {
  const T* data;
  int64_t ld;
  int64_t rows;
  int64_t columns;
  bool aligned;  // each row starts at a multiple of 16 bytes, and each column offset taken is one too
};

/** Fills rows x columns of a tile from row `row`, column `column` of the source on; `threads` threads share the work. */
template <class T>
GPU_INLINE void load_tile(T* tile, int ld, int rows, int columns, const Source<T>& source, int64_t row, int64_t column,
                          int threads) {
  constexpr int kVector = gpu::kPerVector<T>;
  const int vectors = columns / kVector;
  for (int i = static_cast<int>(threadIdx.x); i < rows * vectors; i += threads) {
    const int r = i / vectors, c = i % vectors * kVector;
    const int64_t left = row + r < source.rows ? gpu::least(source.columns - (column + c), kVector) : 0;
    const int valid = left > 0 ? static_cast<int>(left) : 0;
    const T* from = valid > 0 ? source.data + (row + r) * source.ld + column + c : source.data;
    T* to = tile + r * ld + c;
    if (source.aligned) {
      ptx::cp_async16(to, from, valid * static_cast<int>(sizeof(T)));
    } else {
#pragma unroll
      for (int k = 0; k < kVector; k++) to[k] = k < valid ? from[k] : gpu::from_float<T>(0.0f);
    }
  }
}

GPU_INLINE float activate(pp_activation activation, float z) {
  if (activation == PP_RELU) return z > 0 ? z : z != z ? z : 0.0f;
  if (activation == PP_GELU) return 0.5f * z * (1.0f + erff(z * 0.70710678f));
  if (activation == PP_SILU) return z / (1.0f + expf(-z));
  return z;
}

/** σ'(z). */
GPU_INLINE float activation_slope(pp_activation activation, float z) {
  constexpr float kHalfRoot = 0.70710678f, kDensity = 0.39894228f;  // 1 / √2, 1 / √(2π)
  if (activation == PP_RELU) return z > 0 ? 1.0f : 0.0f;
  if (activation == PP_GELU) return 0.5f * (1.0f + erff(z * kHalfRoot)) + z * kDensity * expf(-0.5f * z * z);
  if (activation == PP_SILU) {
    const float logistic = 1.0f / (1.0f + expf(-z));
    return logistic * (1.0f + z * (1.0f - logistic));
  }
  return 1.0f;
}

/** Like load_tile, with σ applied; element by element. */
template <int kThreads, class T>
GPU_INLINE void load_activated_tile(T* tile, int ld, int rows, int columns, const Source<T>& source, int64_t row,
                                    int64_t column, pp_activation activation) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * columns; i += kThreads) {
    const int r = i / columns, c = i % columns;
    const bool valid = row + r < source.rows && column + c < source.columns;
    const float v = valid ? activate(activation, gpu::to_float(source.data[(row + r) * source.ld + column + c])) : 0.0f;
    tile[r * ld + c] = gpu::from_float<T>(v);
  }
}
}  // namespace prunepeft::cuda
