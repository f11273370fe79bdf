// Launches of the gradient products.
#include "linear/cuda/grad.cuh"

#include "linear/cuda/grad_call.cuh"
#include "linear/cuda/launch.cuh"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
__global__ void __launch_bounds__(kFinishThreads) finish_columns(const __grid_constant__ FinishColumnsArguments arguments) {
  const int64_t N = arguments.N, i = static_cast<int64_t>(blockIdx.x) * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= N * arguments.stack.columns) return;
  const int64_t n = i % N;
  const int column = static_cast<int>(i / N);
  const StackedModule& module = arguments.stack.modules[module_of_column(arguments.stack, column)];
  const int rank = column - module.first_column;
  float* to = module.gradient + (arguments.rank_major ? rank * module.ldg + n : n * module.ldg + rank);
  *to = finish_column(arguments.accumulate ? *to : 0, arguments.accumulate, arguments.slots + i, arguments.count,
                      N * arguments.stack.columns, module.scale);
}

namespace {
/** `stack` is the call's. */
template <class T, class S>
GradArguments<T, S> grad_arguments(const GradCall& call, const S& stack, const Split& rows, int stages, float* column_slots,
                                   float* row_slots) {
  GradArguments<T, S> arguments = {};
  arguments.g = source<T>(call.g, call.ldg, call.M, call.N);
  arguments.stack = stack;
  arguments.p_aligned = s_aligned<T>(call.stack);
  arguments.b_aligned = gpu::rows_aligned<T>(call.stack.modules[0].a, call.stack.modules[0].lda);
  arguments.dropout = call.dropout;
  arguments.keys = philox_keys(dropout_key(call.dropout.seed));
  arguments.rows_per_share = rows.length;
  arguments.stages = stages;
  arguments.column_slots = column_slots;
  arguments.row_slots = call.rows != nullptr ? row_slots : nullptr;
  return arguments;
}

template <class T>
cudaError_t launch_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream) {
  const Split rows = split_rows(call.dtype, call.M, call.N);
  const StackedModule& first = call.stack.modules[0];
  const bool with_rows = call.rows != nullptr, dropout = call.dropout.threshold != 0;
  const int64_t column_blocks = gpu::divide_up(call.N, Grad::kColumns);
  const dim3 grid(static_cast<unsigned>(column_blocks), static_cast<unsigned>(rows.shares),
                  static_cast<unsigned>(call.stack.chunks()));
  const int first_tiles = static_cast<int>(gpu::divide_up(first.rank, kTileRanks));
  const int tiles = call.stack.chunk_tiles(), row_tiles = with_rows ? std::min(first_tiles, kChunkTiles) : 0;
  const int stages = Grad::stages<T>(tiles, row_tiles, dropout);
  const size_t shared = Grad::shared_bytes<T>(stages, tiles, row_tiles, dropout);
  const auto launch = [&](auto kernel, const auto& stack) {
    return gpu::launch(kernel, grid, Grad::kThreads, shared, stream,
                       grad_arguments<T>(call, stack, rows, stages, column_slots, row_slots));
  };
  const bool aligned = gpu::rows_aligned<T>(call.g, call.ldg) && s_aligned<T>(call.stack) && same_lds(call.stack);
  const auto launch_one = [&](auto most) {
    return launch(grad<T, OneModule, true, decltype(most)::value>, one_module(call.stack));
  };
  cudaError_t error = !aligned               ? launch(grad<T, Stack, false, kChunkTiles>, call.stack)
                      : call.stack.count > 1 ? launch(grad<T, Stack, true, kChunkTiles>, call.stack)
                                             : dispatch_tiles(call.stack.tiles, launch_one);
  if (error == cudaSuccess && with_rows) {
    Stack stack = {};
    StackedModule module = first;
    module.s = call.rows;
    module.lds = call.ldrows;
    module.scale = call.row_scale;
    stack.add(module);
    const FinishRowsArguments<T> finish = {row_slots, static_cast<int>(column_blocks), call.M,   stack,
                                           nullptr,   static_cast<const T*>(call.z),   call.ldz, call.activation,
                                           nullptr};
    error = gpu::launch(finish_rows<T>, blocks_for(call.M * stack.columns), kFinishThreads, 0, stream, finish);
  }
  if (error != cudaSuccess) return error;
  const FinishColumnsArguments finish = {column_slots,   static_cast<int>(rows.shares), call.N, call.stack, call.rank_major,
                                         call.accumulate};
  return gpu::launch(finish_columns, blocks_for(call.N * call.stack.columns), kFinishThreads, 0, stream, finish);
}

}  // namespace

int64_t grad_column_slots(pp_dtype dtype, int64_t M, int64_t N, int64_t columns) {
  return M == 0 ? 0 : split_rows(dtype, M, N).shares * columns * N;
}

int64_t grad_row_slots(int64_t M, int64_t N, int64_t rank) {
  return gpu::divide_up(N, Grad::kColumns) * M * rank;
}

cudaError_t run_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream) {
  return dispatch(call.dtype,
                  [&](auto element) { return launch_grad<decltype(element)>(call, column_slots, row_slots, stream); });
}
}  // namespace prunepeft::cuda
