// Copies of narrow operands to rows at multiples of 16 bytes: a thread an element, a grid's row a matrix.
//
// Limit: a launch. 8192 rows of rank 20 are 0.3 MB, read and written.
#include "linear/cuda/narrow_copies.h"

#include <algorithm>

#include "cuda/element.cuh"

namespace prunepeft::cuda {
constexpr int kNarrowThreads = 256;

/** Elements are moved as they are, whatever type of 16 bits they have. */
__global__ void __launch_bounds__(kNarrowThreads) copy_narrow(const __grid_constant__ NarrowCopies copies) {
  const NarrowCopies::Copy& copy = copies.of[blockIdx.y];
  const int64_t i = int64_t{blockIdx.x} * kNarrowThreads + threadIdx.x, row = i / copy.from.columns;
  if (row >= copy.from.rows) return;
  const int64_t column = i % copy.from.columns;
  static_cast<uint16_t*>(copy.to)[row * copy.ldto + column] =
      static_cast<const uint16_t*>(copy.from.data)[row * copy.from.ld + column];
}

namespace {
int64_t padded_ld(const BulkMatrix& matrix) {
  return gpu::round_up(matrix.columns, gpu::kGroup);
}
}  // namespace

int64_t narrow_copy_elements(const BulkMatrix& matrix) {
  return can_map(matrix) ? 0 : matrix.rows * padded_ld(matrix);
}

BulkMatrix add_narrow_copy(const BulkMatrix& matrix, void* memory, NarrowCopies* copies) {
  if (can_map(matrix)) return matrix;
  copies->of[copies->count++] = {matrix, memory, padded_ld(matrix)};
  return {memory, padded_ld(matrix), matrix.rows, matrix.columns};
}

cudaError_t run_narrow_copies(const NarrowCopies& copies, cudaStream_t stream) {
  int64_t most = 0;
  for (int32_t i = 0; i < copies.count; i++)
    most = std::max(most, gpu::divide_up(copies.of[i].from.rows * copies.of[i].from.columns, kNarrowThreads));
  if (most == 0) return cudaSuccess;
  return gpu::launch(copy_narrow, {most, copies.count}, kNarrowThreads, 0, stream, copies);
}
}  // namespace prunepeft::cuda
