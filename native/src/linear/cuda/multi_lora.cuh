// LoRA of several adapters over one batch: the skinny products, one grid for all segments of rows.
//
// A grid is the segments' grids one behind the other. A block finds its segment by its number, and does there what the block of
// the same place does in a call for that segment alone: tiles, shares and the order of sums depend on the segment's own rows,
// and so do its bits.
//
// The table of segments is a kernel parameter, so that a call copies nothing and can be captured in a graph.
#pragma once

#include "linear/cuda/down.cuh"
#include "linear/cuda/finish.cuh"
#include "linear/cuda/grad.cuh"
#include "linear/cuda/multi_lora_cuda.h"
#include "linear/cuda/up.cuh"

namespace prunepeft::cuda {
/** A processor's blocks of multi_down: what other kernels read from their parameters, it holds in registers. */
constexpr int kMultiDownBlocks = 3;

/** Rows and their adapter. */
struct Segment {
  int64_t first_row;
  int64_t rows;         // at least 1
  const void* weights;  // A [rank,width] or B [width,rank]
  int64_t ld_weights;
  float* gradient;  // of A or B
  int64_t ld_gradient;
  int64_t column_slots;  // where its partial sums begin
  int64_t row_slots;
  DropoutSpec dropout;
  float scale;  // of the row products
  uint32_t module;
  int32_t rank;
  int32_t shares;
  int32_t share_tiles;  // a share's length
  int32_t first_block;  // of this launch
  int32_t next;         // the next segment of the same adapter; -1: none
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
  int32_t row_parts;  // slots of a row product; 0: the segment's shares
  bool rank_major;    // weights and gradients are [rank,width] rather than [width,rank]
  bool accumulate;
  int32_t count;
  Segment segments[kMostSegments];
};
static_assert(sizeof(MultiArguments) <= 4096, "kernel parameters fit where every driver takes them");

/** The segment that block `block` belongs to: the last that begins there or before. */
GPU_INLINE int segment_of_block(const MultiArguments& arguments, int block) {
  int segment = 0;
  while (segment + 1 < arguments.count && arguments.segments[segment + 1].first_block <= block) segment++;
  return segment;
}

/** Row `row` of a matrix. */
template <class T>
GPU_INLINE T* row_of(const void* data, int64_t ld, int64_t row) {
  return static_cast<T*>(const_cast<void*>(data)) + row * ld;
}

/** The adapter as a stack of one branch, with `s` its narrow matrix. */
template <class T>
GPU_INLINE StackOf<1> segment_stack(const Segment& segment, const void* s, int64_t lds) {
  Branch branch = {};
  branch.a = segment.weights;
  branch.lda = segment.ld_weights;
  branch.s = row_of<T>(s, lds, segment.first_row);
  branch.lds = lds;
  branch.scale = segment.scale;
  branch.module = segment.module;
  branch.rank = segment.rank;
  StackOf<1> stack = {};
  stack.add(branch);
  return stack;
}

/** The segment's rows of the wide matrix. */
template <class T>
GPU_INLINE Source<T> segment_source(const MultiArguments& arguments, const Segment& segment) {
  const T* data = row_of<T>(arguments.wide, arguments.ld_wide, segment.first_row);
  return {data, arguments.ld_wide, segment.rows, arguments.width, gpu::rows_aligned<T>(data, arguments.ld_wide)};
}

// CUDA kernels

/** out = s·D(wide) weightsᵀ, or with more than one share its parts in row_slots. */
template <class T>
__global__ void __launch_bounds__(Down::kThreads, kMultiDownBlocks)
    multi_down(const __grid_constant__ MultiArguments arguments) {
  GPU_DYNAMIC_SHARED(memory);
  const int block = static_cast<int>(blockIdx.x);
  const Segment& segment = arguments.segments[segment_of_block(arguments, block)];
  DownArguments<T, StackOf<1>> down = {};
  down.x = segment_source<T>(arguments, segment);
  down.stack = segment_stack<T>(segment, arguments.out, arguments.ldout);
  down.a_aligned = gpu::rows_aligned<T>(segment.weights, segment.ld_weights);
  down.dropout = segment.dropout;
  down.columns_per_share = int64_t{segment.share_tiles} * Down::kColumns;
  down.slots = segment.shares == 1 ? nullptr : arguments.row_slots + segment.row_slots;
  const int place = block - segment.first_block, row_blocks = static_cast<int>(gpu::divide_up(segment.rows, Down::kRows));
  down_block(down, place % row_blocks, place / row_blocks % segment.shares, place / row_blocks / segment.shares, memory);
}

/** out += Dᵀ(narrow · weights), out being read and written. */
template <class T>
__global__ void __launch_bounds__(Up::kThreads, Up::kBlocksPerProcessor)
    multi_up(const __grid_constant__ MultiArguments arguments) {
  GPU_DYNAMIC_SHARED(memory);
  const int block = static_cast<int>(blockIdx.x);
  const Segment& segment = arguments.segments[segment_of_block(arguments, block)];
  UpArguments<T, StackOf<1>> up = {};
  up.M = segment.rows;
  up.N = arguments.width;
  up.stack = segment_stack<T>(segment, arguments.narrow, arguments.ld_narrow);
  up.p_aligned = gpu::rows_aligned<T>(up.stack.branches[0].s, arguments.ld_narrow);
  up.q_aligned = gpu::rows_aligned<T>(segment.weights, segment.ld_weights);
  up.rank_major = arguments.rank_major;
  up.activation = PP_IDENTITY;
  up.dropout = segment.dropout;
  up.out = row_of<T>(arguments.out, arguments.ldout, segment.first_row);
  up.ldout = arguments.ldout;
  up.base = up.out;
  up.ldbase = up.ldout;
  up.out_aligned = gpu::rows_aligned<T>(up.out, up.ldout);
  up_block(up, block - segment.first_block, memory);
}

/** Parts of D(wide)ᵀ narrow in column_slots, and of wide · weights in row_slots if they are not null. */
template <class T>
__global__ void __launch_bounds__(Grad::kThreads, Grad::kBlocksPerProcessor)
    multi_grad(const __grid_constant__ MultiArguments arguments) {
  GPU_DYNAMIC_SHARED(memory);
  const int block = static_cast<int>(blockIdx.x);
  const Segment& segment = arguments.segments[segment_of_block(arguments, block)];
  GradArguments<T, StackOf<1>> grad = {};
  grad.g = segment_source<T>(arguments, segment);
  grad.stack = segment_stack<T>(segment, arguments.narrow, arguments.ld_narrow);
  grad.p_aligned = gpu::rows_aligned<T>(grad.stack.branches[0].s, arguments.ld_narrow);
  grad.b_aligned = gpu::rows_aligned<T>(segment.weights, segment.ld_weights);
  grad.activation = PP_IDENTITY;
  grad.dropout = segment.dropout;
  grad.rows_per_share = int64_t{segment.share_tiles} * Grad::kRows<T>;
  grad.column_slots = arguments.column_slots + segment.column_slots;
  grad.row_slots = arguments.row_slots != nullptr ? arguments.row_slots + segment.row_slots : nullptr;
  const int place = block - segment.first_block,
            column_blocks = static_cast<int>(gpu::divide_up(grad.g.columns, Grad::kColumns));
  grad_block(grad, place % column_blocks, place / column_blocks % segment.shares, place / column_blocks / segment.shares,
             memory);
}

/** out = scale times the sums of row_slots. */
template <class T>
__global__ void __launch_bounds__(kFinishThreads) multi_finish_rows(const __grid_constant__ MultiArguments arguments) {
  const int block = static_cast<int>(blockIdx.x);
  const Segment& segment = arguments.segments[segment_of_block(arguments, block)];
  const int64_t i = int64_t{block - segment.first_block} * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= segment.rows * segment.rank) return;
  const FinishRowsArguments<T, StackOf<1>> finish = {arguments.row_slots + segment.row_slots,
                                                     arguments.row_parts > 0 ? arguments.row_parts : segment.shares,
                                                     segment.rows,
                                                     segment_stack<T>(segment, arguments.out, arguments.ldout),
                                                     nullptr,
                                                     nullptr,
                                                     0,
                                                     PP_IDENTITY};
  finish_row_element(finish, i);
}

/** Gradients of the adapters: a block's segment is the first of its adapter, and those after it add to its sum. */
__global__ void __launch_bounds__(kFinishThreads) multi_finish_columns(const __grid_constant__ MultiArguments arguments) {
  const int block = static_cast<int>(blockIdx.x);
  int s = segment_of_block(arguments, block);
  const Segment& segment = arguments.segments[s];
  const int64_t N = arguments.width, size = N * segment.rank;
  const int64_t i = int64_t{block - segment.first_block} * kFinishThreads + static_cast<int64_t>(threadIdx.x);
  if (i >= size) return;
  const int64_t n = i % N, rank = i / N;
  float* to = segment.gradient + (arguments.rank_major ? rank * segment.ld_gradient + n : n * segment.ld_gradient + rank);
  bool add = arguments.accumulate;
  float sum = add ? *to : 0;
  for (; s >= 0; s = arguments.segments[s].next) {
    const Segment& part = arguments.segments[s];
    sum = finish_column(sum, add, arguments.column_slots + part.column_slots + i, part.shares, size, part.dropout.keep_scale);
    add = true;
  }
  *to = sum;
}
}  // namespace prunepeft::cuda
