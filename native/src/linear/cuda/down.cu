// Launches of the down product.
#include "linear/cuda/down.cuh"

#include "linear/cuda/down_call.cuh"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
namespace {
template <class T>
cudaError_t launch_down(const DownCall& call, float* slots, cudaStream_t stream) {
  const Split columns = slots == nullptr ? split(call.K, Down::kColumns, 1) : split_columns(call.M, call.K);
  const bool direct = columns.shares == 1;
  const gpu::Grid grid = {gpu::divide_up(call.M, Down::kRows), columns.shares, call.stack.chunks()};
  const size_t shared = Down::shared_bytes<T>(call.stack.chunk_tiles(), call.dropout.threshold != 0);
  const auto launch = [&](auto kernel, const auto& stack) {
    return gpu::launch(kernel, grid, Down::kThreads, shared, stream, down_arguments<T>(call, stack, columns, slots));
  };
  const auto launch_one = [&](auto most) {
    return launch(down<T, OneModule, true, decltype(most)::value>, one_module(call.stack));
  };
  const bool aligned = gpu::rows_aligned<T>(call.x, call.ldx) && a_aligned<T>(call.stack);
  const cudaError_t error = !aligned               ? launch(down<T, Stack, false, kChunkTiles>, call.stack)
                            : call.stack.count > 1 ? launch(down<T, Stack, true, kChunkTiles>, call.stack)
                                                   : dispatch_tiles(call.stack.tiles, launch_one);
  if (error != cudaSuccess || direct) return error;
  const FinishRowsArguments<T> finish = {
      slots,           static_cast<int>(columns.shares), call.M, call.stack, static_cast<const T*>(call.bias), nullptr, 0,
      call.activation, static_cast<T*>(call.activated)};
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
