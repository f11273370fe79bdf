// Tiles in shared memory: how they are padded and filled.
//
// A tile is filled by cp.async, 16 bytes at a time, where its source allows it, else element by element; either way what lies
// outside the source becomes zero, so that kernels need no bounds in their products. The caller commits, waits and
// synchronises.
//
// load_tile makes each address anew, from any source. A walk makes them once, of a source that allows 16 bytes, and then moves
// them by a constant.
#pragma once

#include "cuda/element.cuh"
#include "cuda/ptx.cuh"

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

/**
 * The way of a thread's 16-byte vectors through an aligned source, from one tile of kRows x kColumns to the next: vectors in
 * one column of them, kRowStep rows apart.
 */
template <class T, int kRows, int kColumns, int kThreads>
struct TileWalk {
  static constexpr int kAcross = kColumns / gpu::kPerVector<T>;
  static constexpr int kRowStep = kThreads / kAcross;
  static constexpr int kVectors = kRowStep < kRows ? kRows / kRowStep : 1;
  static_assert(kAcross * kRowStep == kThreads && (kRowStep >= kRows || kVectors * kRowStep == kRows),
                "threads share it evenly");

  const T* from;
  int64_t ld_from;

  GPU_INLINE static int row() { return static_cast<int>(threadIdx.x) / kAcross; }
  /** Whether this thread has vectors of a tile at all. */
  GPU_INLINE static bool takes_part() { return kRowStep <= kRows || row() < kRows; }
  GPU_INLINE static int column() { return static_cast<int>(threadIdx.x) % kAcross * gpu::kPerVector<T>; }
  /** Bytes of each of the thread's vectors that are there, where `columns` of the tile's columns are. */
  GPU_INLINE static int bytes(int columns) {
    const int left = columns - column();
    return (left <= 0 ? 0 : left < gpu::kPerVector<T> ? left : gpu::kPerVector<T>)*static_cast<int>(sizeof(T));
  }

  GPU_INLINE void start(const T* data, int64_t ld, int64_t row_from, int64_t column_from) {
    from = data + (row_from + row()) * ld + column_from + column();
    ld_from = ld;
  }

  /** Of a thread that takes part: copies a tile of which `rows` rows are there, and so many bytes of each vector; the next lies
   * `distance` elements further. */
  GPU_INLINE void copy(T* tile, int ld, int rows, int bytes_there, int64_t distance) {
    T* to = tile + row() * ld + column();
#pragma unroll
    for (int i = 0; i < kVectors; i++)
      ptx::cp_async16(to + i * kRowStep * ld, from + i * kRowStep * ld_from, row() + i * kRowStep < rows ? bytes_there : 0);
    from += distance;
  }
};
}  // namespace prunepeft::cuda
