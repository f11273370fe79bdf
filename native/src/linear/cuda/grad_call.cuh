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

/**
 * Whether one module's three tiles of ranks go by the kernel for four, which has fewer instructions than that for any number;
 * the last tile has no ranks. Its ring is larger: it must be as deep on a device of whose shared memory a block may have
 * `device_bytes`, and leave a multiprocessor as many blocks.
 */
template <class T, bool kRows>
constexpr bool three_tiles_take_four(bool dropout, size_t device_bytes) {
  constexpr int kTiles = 3, kRowTiles = kRows ? kTiles : 0;
  constexpr size_t kReserved = 1024;  // beside each block's, and beside the most that one may have
  const size_t most_bytes = kRows ? device_bytes : gpu::kMostSharedBytes;
  const int stages = Grad::stages<T>(kTiles, kRowTiles, dropout, most_bytes);
  if (Grad::stages<T>(kTiles + 1, kRowTiles, dropout, most_bytes) != stages) return false;
  const auto blocks = [&](int tiles) {
    const size_t fit = (device_bytes + kReserved) / (Grad::shared_bytes<T>(stages, tiles, kRowTiles, dropout) + kReserved);
    return std::min(fit, size_t{Grad::kBlocksPerProcessor<T, kRows>});
  };
  return blocks(kTiles) == blocks(kTiles + 1);
}

static_assert(three_tiles_take_four<__half, false>(true, 227 * 1024) && three_tiles_take_four<__half, true>(false, 227 * 1024),
              "as cost.h has it of an H100");
static_assert(!three_tiles_take_four<__half, false>(true, 163 * 1024) &&
                  three_tiles_take_four<__half, false>(false, 163 * 1024),
              "under dropout an A100's multiprocessor has two blocks of three tiles, and one of four");
static_assert(!three_tiles_take_four<__half, true>(false, 99 * 1024) && three_tiles_take_four<__half, false>(true, 99 * 1024),
              "row products leave sm_86 three tiles in the ring, or two");

/** Adds slots of column products in order, as run_grad does with its own. */
cudaError_t run_finish_columns(const FinishColumnsArguments& columns, cudaStream_t stream);
}  // namespace prunepeft::cuda
