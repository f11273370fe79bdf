// Launches of the down product.
// SPDX-License-Identifier: Apache-2.0
#include "skinny/down.cuh"

#include "skinny/launch.cuh"
#include "skinny/skinny.h"

namespace prunepeft::cuda {
namespace {
/** Blocks that fill today's devices a few times over. */
constexpr int64_t kBlocks = 512;
/** A share of K is worth a second stage from here on. */
constexpr int64_t kLeastShareColumns = 256;

Split split_columns(int64_t M, int64_t K) {
  const int64_t row_blocks = gpu::divide_up(M, Down::kRows);
  return split(K, Down::kColumns, std::min(kBlocks / row_blocks, K / kLeastShareColumns));
}

template <class T>
cudaError_t launch_down(const DownCall& call, float* slots, cudaStream_t stream) {
  const Split columns = split_columns(call.M, call.K);
  const bool direct = columns.shares == 1;
  DownArguments<T> arguments = {};
  arguments.x = source<T>(call.x, call.ldx, call.M, call.K);
  arguments.x_copy = static_cast<T*>(call.x_copy);
  arguments.ldx_copy = call.ldx_copy;
  arguments.stack = call.stack;
  arguments.a_aligned = a_aligned<T>(call.stack);
  arguments.copy_aligned = gpu::rows_aligned<T>(call.x_copy, call.ldx_copy);
  arguments.dropout = call.dropout;
  arguments.bias = static_cast<const T*>(call.bias);
  arguments.columns_per_share = columns.length;
  arguments.slots = direct ? nullptr : slots;
  const dim3 grid(static_cast<unsigned>(gpu::divide_up(call.M, Down::kRows)), static_cast<unsigned>(columns.shares),
                  static_cast<unsigned>(call.stack.chunks()));
  const size_t shared = Down::shared_bytes<T>(call.stack.chunk_tiles(), call.dropout.threshold != 0);
  const cudaError_t error = gpu::launch(down<T>, grid, Down::kThreads, shared, stream, arguments);
  if (error != cudaSuccess || direct) return error;
  const FinishRowsArguments<T> finish = {
      slots, static_cast<int>(columns.shares), call.M, call.stack, arguments.bias, nullptr, 0, PP_IDENTITY};
  return gpu::launch(finish_rows<T>, blocks_for(call.M * call.stack.columns), kFinishThreads, 0, stream, finish);
}

}  // namespace

int64_t down_slots(int64_t M, int64_t K, int64_t columns) {
  if (M == 0) return 0;
  const int64_t shares = split_columns(M, K).shares;
  return shares == 1 ? 0 : shares * M * columns;
}

cudaError_t run_down(const DownCall& call, float* slots, cudaStream_t stream) {
  return dispatch(call.dtype, [&](auto element) { return launch_down<decltype(element)>(call, slots, stream); });
}
}  // namespace prunepeft::cuda
