// How gradient products are cut into shares of the rows.
#pragma once

#include "linear/cuda/grad.cuh"
#include "linear/cuda/launch.cuh"

namespace prunepeft::cuda {
/** Blocks that fill today's devices about twice. */
constexpr int64_t kGradBlocks = 256;

inline int64_t grad_tile_rows(pp_dtype dtype) {
  return dispatch(dtype, [](auto element) { return int64_t{Grad::kRows<decltype(element)>}; });
}

inline Split split_rows(pp_dtype dtype, int64_t M, int64_t N) {
  const int64_t column_blocks = gpu::divide_up(N, Grad::kColumns), rows = grad_tile_rows(dtype);
  return split(M, rows, std::min(kGradBlocks / column_blocks, gpu::divide_up(M, rows)));
}
}  // namespace prunepeft::cuda
