// Tensor maps: what the bulk copy engine of compute capability 9.0 knows of a matrix in device memory. Made on the host, passed
// by value as a kernel's parameter.
#pragma once

#include <cstdint>

#include "cuda/gpu.cuh"

namespace prunepeft::cuda {
/** The driver's CUtensorMap, whose contents are its own. */
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

/** Elements of 16 bits in a row of a box: 128 bytes, which lie swizzled in shared memory. */
constexpr int kBoxColumns = 64;
constexpr int kMostBoxRows = 256;

/** A row-major matrix of 16-bit elements whose rows start at multiples of 16 bytes. */
struct BulkMatrix {
  const void* data;
  int64_t ld;
  int64_t rows;
  int64_t columns;
};

/** Whether a tensor map can say it: aligned, and its extents and strides in range. */
inline bool can_map(const BulkMatrix& matrix) {
  constexpr int64_t kMostExtent = 1 << 30, kMostStrideBytes = int64_t{1} << 40, kAlignment = 16;
  return (reinterpret_cast<uintptr_t>(matrix.data) | static_cast<uintptr_t>(matrix.ld) * sizeof(uint16_t)) % kAlignment == 0 &&
         matrix.rows <= kMostExtent && matrix.columns <= kMostExtent &&
         matrix.ld < kMostStrideBytes / static_cast<int64_t>(sizeof(uint16_t));
}

/**
 * Makes a tensor map of boxes of `box_rows` (at most kMostBoxRows) by kBoxColumns; what of a box lies outside the matrix is
 * read as zeros. The driver's function for it is looked up until it is found, for there is no link with the driver;
 * cudaErrorNotSupported: the driver has none. For any thread.
 */
template <class T>
cudaError_t make_tensor_map(const BulkMatrix& matrix, int box_rows, TensorMap* map);
}  // namespace prunepeft::cuda
