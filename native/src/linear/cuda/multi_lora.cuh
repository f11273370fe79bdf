// LoRA of several adapters over one batch: the skinny products, one grid for all runs of rows.
//
// A grid is the runs' grids one behind the other. A block finds its run by its number, and does there what the block of
// the same place does in a call for that run alone: tiles, shares and the order of sums depend on the run's own rows,
// and so do its bits.
//
// The table of runs is a kernel parameter, so that a call copies nothing and can be captured in a graph.
#pragma once

#include "linear/cuda/down.cuh"
#include "linear/cuda/finish.cuh"
#include "linear/cuda/grad.cuh"
#include "linear/cuda/multi_lora_cuda.h"
#include "linear/cuda/up.cuh"

namespace prunepeft::cuda {
/** A processor's blocks of multi_down: what other kernels read from their parameters, it holds in registers. */
constexpr int kMultiDownBlocks = 3, kMultiGradBlocks = 1;

/** Rows and their adapter. */
struct ModuleRun {
  int64_t first_row;
  int64_t rows;         // at least 1
  const void* weights;  // A [rank,width] or B [width,rank]
  int64_t ld_weights;
  float* gradient;  // of A or B
  int64_t ld_gradient;
  int64_t column_slots;  // where its partial sums begin
  int64_t row_slots;
  uint16_t* kept;  // its mask, or null
  DropoutSpec dropout;
  float scale;  // of the row products
  uint32_t mask_name;
  int32_t rank;
  int32_t shares;
  int32_t share_tiles;  // a share's length
  int32_t first_block;  // of this launch
  int32_t next;         // the next run of the same adapter; -1: none
  int16_t passes;       // of multi_grad's blocks
  bool is_first;
};

/** Of all kernels; which fields one uses, it says. */
struct MultiArguments {
  const void* wide;  // [M,width]
  int64_t ld_wide;
  int64_t width;
  const void* narrow;  // [M, largest rank]
  int64_t ld_narrow;
  void* out;  // wide or narrow
  int64_t ldout;
  float* column_slots;
  float* row_slots;
  int32_t stages;   // of multi_grad's ring
  bool row_blocks;  // a row product has a slot for each block of columns, rather than for each share
  bool rank_major;  // weights and gradients are [rank,width] rather than [width,rank]
  bool accumulate;
  int32_t count;
  ModuleRun runs[kMostRuns];
};
static_assert(sizeof(MultiArguments) <= 4096, "kernel parameters fit where every driver takes them");

/** The run that block `block` belongs to: the last that begins there or before. */
GPU_INLINE int run_of_block(const MultiArguments& arguments, int block) {
  int run = 0;
  while (run + 1 < arguments.count && arguments.runs[run + 1].first_block <= block) run++;
  return run;
}

/** Row `row` of a matrix. */
template <class T>
GPU_INLINE T* row_of(const void* data, int64_t ld, int64_t row) {
  return static_cast<T*>(const_cast<void*>(data)) + row * ld;
}

/** The adapter as a stack of one module, with `s` its narrow matrix. */
template <class T>
GPU_INLINE OneModule run_stack(const ModuleRun& run, const void* s, int64_t lds) {
  StackedModule module = {};
  module.a = run.weights;
  module.lda = run.ld_weights;
  module.s = row_of<T>(s, lds, run.first_row);
  module.lds = lds;
  module.kept = run.kept;
  module.scale = run.scale;
  module.mask_name = run.mask_name;
  module.rank = run.rank;
  OneModule stack = {};
  stack.add(module);
  return stack;
}

/** The run's rows of the wide matrix. */
template <class T>
GPU_INLINE Source<T> run_source(const MultiArguments& arguments, const ModuleRun& run) {
  const T* data = row_of<T>(arguments.wide, arguments.ld_wide, run.first_row);
  return {data, arguments.ld_wide, run.rows, arguments.width, gpu::rows_aligned<T>(data, arguments.ld_wide)};
}

// CUDA kernels

/** out = s·D(wide) weightsᵀ, or with more than one share its parts in row_slots. */
template <class T, bool kAligned, int kMostTiles>
__global__ void __launch_bounds__(Down::kThreads, kMultiDownBlocks)
    multi_down(const __grid_constant__ MultiArguments arguments) {
  GPU_DYNAMIC_SHARED(memory);
  const int block = static_cast<int>(blockIdx.x);
  const ModuleRun& run = arguments.runs[run_of_block(arguments, block)];
  DownArguments<T, OneModule> down = {};
  down.x = run_source<T>(arguments, run);
  down.stack = run_stack<T>(run, arguments.out, arguments.ldout);
  down.a_aligned = gpu::rows_aligned<T>(run.weights, run.ld_weights);
  down.dropout = run.dropout;
  down.keys = philox_keys(dropout_key(run.dropout.seed));
  down.columns_per_share = int64_t{run.share_tiles} * Down::kColumns;
  down.slots = run.shares == 1 ? nullptr : arguments.row_slots + run.row_slots;
  const int place = block - run.first_block, row_blocks = static_cast<int>(gpu::divide_up(run.rows, Down::kRows));
  down_block<kAligned, kMostTiles, false>(down, place % row_blocks, place / row_blocks % run.shares,
                                          place / row_blocks / run.shares, memory);
}

/** out += Dᵀ(narrow · weights), out being read and written. */
template <class T, bool kAligned, bool kMasked>
__global__ void __launch_bounds__(Up::kThreads, Up::kBlocksPerProcessor)
    multi_up(const __grid_constant__ MultiArguments arguments) {
  GPU_DYNAMIC_SHARED(memory);
  const int block = static_cast<int>(blockIdx.x);
  const ModuleRun& run = arguments.runs[run_of_block(arguments, block)];
  UpArguments<T, OneModule> up = {};
  up.M = run.rows;
  up.N = arguments.width;
  up.stack = run_stack<T>(run, arguments.narrow, arguments.ld_narrow);
  up.p_aligned = gpu::rows_aligned<T>(up.stack.modules[0].s, arguments.ld_narrow);
  up.q_aligned = gpu::rows_aligned<T>(run.weights, run.ld_weights);
  up.rank_major = arguments.rank_major;
  up.dropout = run.dropout;
  up.keys = philox_keys(dropout_key(run.dropout.seed));
  up.out = row_of<T>(arguments.out, arguments.ldout, run.first_row);
  up.ldout = arguments.ldout;
  up.out_step = Up::kRowStep * up.ldout;
  up.base = up.out;
  up.ldbase = up.ldout;
  up.base_step = up.out_step;
  up.out_aligned = gpu::rows_aligned<T>(up.out, up.ldout);
  up_block<kAligned, kMasked>(up, static_cast<unsigned>(block - run.first_block), memory);
}

/** The blocks of multi_grad side by side along the width. */
__host__ __device__ inline int64_t column_blocks(const ModuleRun& run, int64_t width) {
  return gpu::divide_up(width, int64_t{run.passes} * Grad::kColumns);
}

/** Parts of D(wide)ᵀ narrow in column_slots, and if kRows of wide · weights in row_slots. */
template <class T, bool kAligned, int kMostTiles, bool kRows>
__global__ void __launch_bounds__(Grad::kThreads, kMultiGradBlocks)
    multi_grad(const __grid_constant__ MultiArguments arguments) {
  GPU_DYNAMIC_SHARED(memory);
  const int block = static_cast<int>(blockIdx.x);
  const ModuleRun& run = arguments.runs[run_of_block(arguments, block)];
  GradArguments<T, OneModule> grad = {};
  grad.g = run_source<T>(arguments, run);
  grad.stack = run_stack<T>(run, arguments.narrow, arguments.ld_narrow);
  grad.p_aligned = gpu::rows_aligned<T>(grad.stack.modules[0].s, arguments.ld_narrow);
  grad.b_aligned = gpu::rows_aligned<T>(run.weights, run.ld_weights);
  grad.dropout = run.dropout;
  grad.keys = philox_keys(dropout_key(run.dropout.seed));
  grad.stages = arguments.stages;
  grad.passes = run.passes;
  grad.rank_major = arguments.rank_major;
  grad.rows_per_share = int64_t{run.share_tiles} * Grad::kRows<T>;
  grad.column_slots = arguments.column_slots + run.column_slots;
  grad.row_slots = kRows ? arguments.row_slots + run.row_slots : nullptr;
  const int place = block - run.first_block, across = static_cast<int>(column_blocks(run, arguments.width));
  grad_block<kAligned, kMostTiles, kRows>(grad, place % across, place / across % run.shares, place / across / run.shares,
                                          memory);
}

/** out = scale times the sums of row_slots. */
template <class T>
__global__ void __launch_bounds__(kFinishThreads) multi_finish_rows(const __grid_constant__ MultiArguments arguments) {
  const int block = static_cast<int>(blockIdx.x);
  const ModuleRun& run = arguments.runs[run_of_block(arguments, block)];
  const int64_t i = int64_t{block - run.first_block} * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= run.rows * run.rank) return;
  const FinishRowsArguments<T, OneModule> finish = {
      arguments.row_slots + run.row_slots,
      arguments.row_blocks ? static_cast<int>(column_blocks(run, arguments.width)) : run.shares,
      run.rows,
      run_stack<T>(run, arguments.out, arguments.ldout),
      nullptr,
      nullptr,
      0,
      PP_IDENTITY,
      nullptr};
  finish_row_element<false>(finish, i);
}

/** Gradients of the adapters: a block's run is the first of its adapter, and those after it add to its sum. */
__global__ void __launch_bounds__(kFinishThreads) multi_finish_columns(const __grid_constant__ MultiArguments arguments) {
  const int block = static_cast<int>(blockIdx.x);
  int s = run_of_block(arguments, block);
  const ModuleRun& run = arguments.runs[s];
  const int64_t N = arguments.width, size = N * run.rank;
  const int64_t i = int64_t{block - run.first_block} * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= size) return;
  const SlotPlace place = slot_place(i, N, run.rank, arguments.rank_major);
  float* to = run.gradient +
              (arguments.rank_major ? place.column * run.ld_gradient + place.n : place.n * run.ld_gradient + place.column);
  bool add = arguments.accumulate;
  float sum = add ? *to : 0;
  for (; s >= 0; s = arguments.runs[s].next) {
    const ModuleRun& part = arguments.runs[s];
    sum = finish_column(sum, add, arguments.column_slots + part.column_slots + i, part.shares, size, part.dropout.keep_scale);
    add = true;
  }
  *to = sum;
}
}  // namespace prunepeft::cuda
