// How gradient products are cut into shares of the rows.
#pragma once

#include "linear/cuda/grad.cuh"
#include "linear/cuda/launch.cuh"

namespace prunepeft::cuda {
static_assert(Grad::kColumns == kGradColumns && kLeastSharedBytes == gpu::kMostSharedBytes &&
                  Grad::shared_bytes<__half>(0, 0, 1, false) ==
                      Grad::kColumns * padded<__half>(Grad::kPassesOfB<__half> * kTileRanks) * sizeof(__half),
              "shares.h knows a block's tile");

inline int64_t grad_tile_rows(pp_dtype dtype) {
  return grad_tile_rows(static_cast<int64_t>(pp_dtype_size(dtype)));
}

inline GradSplit split_grad(pp_dtype dtype, int64_t M, int64_t N, bool with_rows) {
  return split_grad(static_cast<int64_t>(pp_dtype_size(dtype)), M, N, with_rows);
}

/** Shared memory that a block may have at most on the current device. */
inline cudaError_t most_shared_bytes(size_t* bytes) {
  int device = 0, most = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  *bytes = static_cast<size_t>(most);
  return error;
}

/** Adds slots of column products in order, as run_grad does with its own. */
cudaError_t run_finish_columns(const FinishColumnsArguments& columns, cudaStream_t stream);
}  // namespace prunepeft::cuda
