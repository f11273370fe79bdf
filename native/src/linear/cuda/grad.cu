// Launches of the gradient products.
#include "linear/cuda/grad.cuh"

#include "linear/cuda/grad_call.cuh"
#include "linear/cuda/launch.cuh"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
/** The second stage of both: the first `row_blocks` blocks are for row products. */
template <class T>
struct FinishGradArguments {
  FinishRowsArguments<T, OneModule> rows;
  int64_t row_blocks;
  FinishColumnsArguments columns;
};

template <class T>
__global__ void __launch_bounds__(kFinishThreads) finish_grad(const __grid_constant__ FinishGradArguments<T> arguments) {
  const int64_t block = blockIdx.x, thread = threadIdx.x;
  if (block < arguments.row_blocks) {
    const int64_t i = block * kFinishThreads + thread;
    if (i < arguments.rows.M * arguments.rows.stack.columns) finish_row_element<false>(arguments.rows, i);
    return;
  }
  const FinishColumnsArguments& finish = arguments.columns;
  const int64_t i = (block - arguments.row_blocks) * kFinishThreads + thread, size = finish.N * finish.stack.columns;
  if (i >= size) return;
  const SlotPlace place = slot_place(i, finish.N, finish.stack.columns, finish.rank_major);
  const StackedModule& module = finish.stack.modules[module_of_column(finish.stack, place.column)];
  const int rank = place.column - module.first_column;
  float* to = module.gradient + (finish.rank_major ? rank * module.ldg + place.n : place.n * module.ldg + rank);
  *to = finish_column(finish.accumulate ? *to : 0, finish.accumulate, finish.slots + i, finish.count, size, module.scale);
}

namespace {
/** `stack` is the call's. */
template <class T, class S>
GradArguments<T, S> grad_arguments(const GradCall& call, const S& stack, const GradSplit& split, int stages,
                                   float* column_slots, float* row_slots) {
  GradArguments<T, S> arguments = {};
  arguments.g = source<T>(call.g, call.ldg, call.M, call.N);
  arguments.stack = stack;
  arguments.p_aligned = s_aligned<T>(call.stack);
  arguments.b_aligned = gpu::rows_aligned<T>(call.stack.modules[0].a, call.stack.modules[0].lda);
  arguments.dropout = call.dropout;
  arguments.keys = philox_keys(dropout_key(call.dropout.seed));
  arguments.rows_per_share = split.rows.length;
  arguments.stages = stages;
  arguments.passes = static_cast<int>(split.passes);
  arguments.rank_major = call.rank_major;
  arguments.column_slots = column_slots;
  arguments.row_slots = row_slots;
  return arguments;
}

template <class T>
cudaError_t launch_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream) {
  const StackedModule& first = call.stack.modules[0];
  const bool with_rows = call.rows != nullptr, dropout = call.dropout.threshold != 0;
  const GradSplit split = split_grad(call.dtype, call.M, call.N, with_rows);
  const gpu::Grid grid = {split.column_blocks, split.rows.shares, call.stack.chunks()};
  const int first_tiles = static_cast<int>(gpu::divide_up(first.rank, kTileRanks));
  const bool aligned = gpu::rows_aligned<T>(call.g, call.ldg) && s_aligned<T>(call.stack) && same_lds(call.stack);
  const bool is_three = aligned && call.stack.count == 1 && call.stack.tiles == 3;
  size_t device_bytes = gpu::kMostSharedBytes;
  cudaError_t error = with_rows || is_three ? most_shared_bytes(&device_bytes) : cudaSuccess;
  if (error != cudaSuccess) return error;
  const bool takes_four = is_three && three_tiles_take_four(sizeof(T), with_rows, dropout, static_cast<int64_t>(device_bytes));
  const int tiles = takes_four ? 4 : call.stack.chunk_tiles(),
            row_tiles = with_rows ? std::min(first_tiles, call.stack.length) : 0;
  const size_t most_bytes = with_rows ? device_bytes : gpu::kMostSharedBytes;
  const int stages = Grad::stages<T>(tiles, row_tiles, dropout, most_bytes);
  const size_t shared = Grad::shared_bytes<T>(stages, tiles, row_tiles, dropout);
  const auto launch = [&](auto kernel, const auto& stack) {
    return gpu::launch(kernel, grid, Grad::kThreads, shared, stream,
                       grad_arguments<T>(call, stack, split, stages, column_slots, row_slots));
  };
  const auto launch_kernels = [&](auto rows) {
    constexpr bool kRows = decltype(rows)::value;
    const auto launch_one = [&](auto most) {
      return launch(grad<T, OneModule, true, decltype(most)::value, kRows>, one_module(call.stack));
    };
    return !aligned               ? launch(grad<T, Stack, false, kChunkTiles, kRows>, call.stack)
           : call.stack.count > 1 ? launch(grad<T, Stack, true, kChunkTiles, kRows>, call.stack)
                                  : dispatch_tiles(tiles, launch_one);
  };
  error = with_rows ? launch_kernels(std::true_type{}) : launch_kernels(std::false_type{});
  if (error != cudaSuccess) return error;
  FinishGradArguments<T> finish = {};
  if (with_rows) {
    StackedModule module = first;
    module.s = call.rows;
    module.lds = call.ldrows;
    module.scale = call.row_scale;
    finish.rows.stack.add(module);
    finish.rows.slots = row_slots;
    finish.rows.count = static_cast<int>(split.column_blocks);
    finish.rows.M = call.M;
    finish.rows.z = static_cast<const T*>(call.z);
    finish.rows.ldz = call.ldz;
    finish.rows.activation = call.activation;
    finish.row_blocks = gpu::divide_up(call.M * first.rank, kFinishThreads);
  }
  finish.columns = {column_slots, static_cast<int>(split.rows.shares), call.N, call.stack, call.rank_major, call.accumulate};
  const int64_t column_blocks = gpu::divide_up(call.N * call.stack.columns, kFinishThreads);
  return gpu::launch(finish_grad<T>, finish.row_blocks + column_blocks, kFinishThreads, 0, stream, finish);
}

}  // namespace

GradSlots grad_slots(pp_dtype dtype, int64_t M, int64_t N, int64_t columns, int64_t row_rank) {
  if (M == 0) return {0, 0};
  const GradSplit split = split_grad(dtype, M, N, row_rank > 0);
  return {split.rows.shares * columns * N, split.column_blocks * M * row_rank};
}

cudaError_t run_finish_columns(const FinishColumnsArguments& columns, cudaStream_t stream) {
  FinishGradArguments<float> finish = {};
  finish.columns = columns;
  return gpu::launch(finish_grad<float>, blocks_for(columns.N * columns.stack.columns), kFinishThreads, 0, stream, finish);
}

cudaError_t run_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream) {
  return dispatch(call.dtype,
                  [&](auto element) { return launch_grad<decltype(element)>(call, column_slots, row_slots, stream); });
}
}  // namespace prunepeft::cuda
