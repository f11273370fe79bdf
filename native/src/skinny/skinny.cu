// Launches of the skinny kernels: how work is split, which paths the alignment allows, and the second stages.
// SPDX-License-Identifier: Apache-2.0
#include "skinny/skinny.h"

#include <algorithm>

#include "skinny/down.cuh"
#include "skinny/finish.cuh"
#include "skinny/grad.cuh"
#include "skinny/up.cuh"

namespace prunepeft::cuda {
namespace {
/** Blocks that fill today's devices a few times over. */
constexpr int64_t kDownBlocks = 512, kGradBlocks = 256;
/** A share of K is worth a second stage from here on. */
constexpr int64_t kLeastShareColumns = 256;

/** A dimension in equal shares, each a multiple of the tile. */
struct Split {
  int64_t shares;
  int64_t length;
};

Split split(int64_t length, int64_t tile, int64_t most_shares) {
  const int64_t share = gpu::round_up(gpu::divide_up(length, std::max<int64_t>(most_shares, 1)), tile);
  return {gpu::divide_up(length, share), share};
}

Split split_columns(int64_t M, int64_t K) {
  const int64_t row_blocks = gpu::divide_up(M, Down::kRows);
  return split(K, Down::kColumns, std::min(kDownBlocks / row_blocks, K / kLeastShareColumns));
}

Split split_rows(pp_dtype dtype, int64_t M, int64_t N) {
  const int64_t column_blocks = gpu::divide_up(N, Grad::kColumns);
  const int64_t rows = dispatch(dtype, [](auto element) { return int64_t{Grad::kRows<decltype(element)>}; });
  return split(M, rows, std::min(kGradBlocks / column_blocks, gpu::divide_up(M, rows)));
}

dim3 blocks_for(int64_t elements) {
  return dim3(static_cast<unsigned>(gpu::divide_up(elements, kFinishThreads)));
}

template <class T>
bool all_aligned(const Stack& stack, const void* Branch::*pointer, int64_t Branch::*ld) {
  return std::all_of(stack.branches, stack.branches + stack.count,
                     [=](const Branch& branch) { return gpu::rows_aligned<T>(branch.*pointer, branch.*ld); });
}

template <class T>
bool s_aligned(const Stack& stack) {
  return std::all_of(stack.branches, stack.branches + stack.count,
                     [](const Branch& branch) { return gpu::rows_aligned<T>(branch.s, branch.lds); });
}

template <class T>
Source<T> source(const void* data, int64_t ld, int64_t rows, int64_t columns) {
  return {static_cast<const T*>(data), ld, rows, columns, gpu::rows_aligned<T>(data, ld)};
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
  arguments.a_aligned = all_aligned<T>(call.stack, &Branch::a, &Branch::lda);
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

template <class T>
cudaError_t launch_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream) {
  const Split rows = split_rows(call.dtype, call.M, call.N);
  const Branch& first = call.stack.branches[0];
  const bool with_rows = call.rows != nullptr;
  GradArguments<T> arguments = {};
  arguments.g = source<T>(call.g, call.ldg, call.M, call.N);
  arguments.stack = call.stack;
  arguments.p_aligned = s_aligned<T>(call.stack);
  arguments.b_aligned = gpu::rows_aligned<T>(first.a, first.lda);
  arguments.activation = call.activation;
  arguments.dropout = call.dropout;
  arguments.rows_per_share = rows.length;
  arguments.column_slots = column_slots;
  arguments.row_slots = with_rows ? row_slots : nullptr;
  const int64_t column_blocks = gpu::divide_up(call.N, Grad::kColumns);
  const dim3 grid(static_cast<unsigned>(column_blocks), static_cast<unsigned>(rows.shares),
                  static_cast<unsigned>(call.stack.chunks()));
  const int first_tiles = static_cast<int>(gpu::divide_up(first.rank, kTileRanks));
  const size_t shared = Grad::shared_bytes<T>(call.stack.chunk_tiles(), with_rows ? std::min(first_tiles, kChunkTiles) : 0,
                                              call.dropout.threshold != 0);
  cudaError_t error = gpu::launch(grad<T>, grid, Grad::kThreads, shared, stream, arguments);
  if (error == cudaSuccess && with_rows) {
    Stack stack = {};
    Branch branch = first;
    branch.s = call.rows;
    branch.lds = call.ldrows;
    branch.scale = call.row_scale;
    stack.add(branch);
    const FinishRowsArguments<T> finish = {row_slots, static_cast<int>(column_blocks), call.M,   stack,
                                           nullptr,   static_cast<const T*>(call.z),   call.ldz, call.activation};
    error = gpu::launch(finish_rows<T>, blocks_for(call.M * stack.columns), kFinishThreads, 0, stream, finish);
  }
  if (error != cudaSuccess) return error;
  const FinishColumnsArguments finish = {column_slots,   static_cast<int>(rows.shares), call.N, call.stack, call.rank_major,
                                         call.accumulate};
  return gpu::launch(finish_columns, blocks_for(call.N * call.stack.columns), kFinishThreads, 0, stream, finish);
}

int64_t up_blocks(int64_t M, int64_t N) {
  return gpu::divide_up(M, Up::kRows) * gpu::divide_up(N, Up::kColumns);
}

template <class T>
cudaError_t launch_up(const UpCall& call, double* slots, cudaStream_t stream) {
  int64_t largest_rank = 0;
  for (int i = 0; i < call.stack.count; i++) largest_rank = std::max<int64_t>(largest_rank, call.stack.branches[i].rank);
  UpArguments<T> arguments = {};
  arguments.M = call.M;
  arguments.N = call.N;
  arguments.stack = call.stack;
  arguments.p_aligned = s_aligned<T>(call.stack);
  arguments.q_aligned = all_aligned<T>(call.stack, &Branch::a, &Branch::lda);
  arguments.rank_major = call.rank_major;
  arguments.activation = call.activation;
  arguments.dropout = call.dropout;
  arguments.base = static_cast<const T*>(call.base);
  arguments.ldbase = call.ldbase;
  arguments.bias = static_cast<const T*>(call.bias);
  arguments.out = static_cast<T*>(call.out);
  arguments.ldout = call.ldout;
  arguments.out_aligned = gpu::rows_aligned<T>(call.base, call.ldbase) && gpu::rows_aligned<T>(call.out, call.ldout);
  arguments.row_mask = call.row_mask;
  arguments.magnitudes = call.magnitude != nullptr ? slots : nullptr;
  const int64_t blocks = up_blocks(call.M, call.N);
  if (blocks != 0) {
    const cudaError_t error = gpu::launch(up<T>, dim3(static_cast<unsigned>(blocks)), Up::kThreads,
                                          Up::shared_bytes<T>(largest_rank), stream, arguments);
    if (error != cudaSuccess) return error;
  }
  if (call.magnitude == nullptr) return cudaSuccess;
  return gpu::launch(finish_sum, dim3(1), kFinishThreads, 0, stream, slots, blocks, call.magnitude);
}
}  // namespace

int64_t down_slots(int64_t M, int64_t K, int64_t columns) {
  if (M == 0) return 0;
  const int64_t shares = split_columns(M, K).shares;
  return shares == 1 ? 0 : shares * M * columns;
}

int64_t grad_column_slots(pp_dtype dtype, int64_t M, int64_t N, int64_t columns) {
  return M == 0 ? 0 : split_rows(dtype, M, N).shares * columns * N;
}

int64_t grad_row_slots(int64_t M, int64_t N, int64_t rank) {
  return gpu::divide_up(N, Grad::kColumns) * M * rank;
}

int64_t magnitude_slots(int64_t M, int64_t N) {
  return up_blocks(M, N);
}

cudaError_t run_down(const DownCall& call, float* slots, cudaStream_t stream) {
  return dispatch(call.dtype, [&](auto element) { return launch_down<decltype(element)>(call, slots, stream); });
}

cudaError_t run_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream) {
  return dispatch(call.dtype,
                  [&](auto element) { return launch_grad<decltype(element)>(call, column_slots, row_slots, stream); });
}

cudaError_t run_up(const UpCall& call, double* slots, cudaStream_t stream) {
  return dispatch(call.dtype, [&](auto element) { return launch_up<decltype(element)>(call, slots, stream); });
}
}  // namespace prunepeft::cuda
