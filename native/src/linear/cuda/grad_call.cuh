// How gradient products are cut into shares of the rows.
#pragma once

#include "linear/cuda/grad.cuh"
#include "linear/cuda/launch.cuh"

namespace prunepeft::cuda {
static_assert(Grad::kColumns == kGradColumns && Grad::kRows<float> == grad_tile_rows(sizeof(float)) &&
                  Grad::kRows<__half> == grad_tile_rows(sizeof(__half)),
              "shares.h knows a block's tile");

inline int64_t grad_tile_rows(pp_dtype dtype) {
  return grad_tile_rows(static_cast<int64_t>(pp_dtype_size(dtype)));
}

inline Split split_rows(pp_dtype dtype, int64_t M, int64_t N) {
  return split_rows(static_cast<int64_t>(pp_dtype_size(dtype)), M, N);
}
}  // namespace prunepeft::cuda
