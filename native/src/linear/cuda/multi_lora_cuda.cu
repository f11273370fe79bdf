// Launches of LoRA for several adapters.
#include "linear/cuda/multi_lora.cuh"

#include "core/dropout.h"
#include "linear/cuda/multi_lora_cuda.h"
#include "linear/cuda/down_call.cuh"
#include "linear/cuda/grad_call.cuh"

namespace prunepeft::cuda {
namespace {
enum class Weights { kA, kB };

/** Lays the segments out in a table. */
MultiArguments make_arguments(const ModulesOnRows& multi, Weights weights, int64_t width) {
  MultiArguments arguments = {};
  arguments.width = width;
  arguments.rank_major = weights == Weights::kA;
  arguments.narrow = multi.segments[0].branch.s;
  arguments.ld_narrow = multi.segments[0].branch.lds;
  int32_t last[kMostSegments];  // of the adapter's segments so far
  std::fill(last, last + kMostSegments, -1);
  for (int32_t i = 0; i < multi.count; i++) {
    const ModuleRows& from = multi.segments[i];
    const LoraModule& branch = from.branch;
    Segment& segment = arguments.segments[arguments.count];
    segment.first_row = from.first_row;
    segment.rows = from.rows;
    segment.weights = weights == Weights::kA ? branch.a : branch.b;
    segment.ld_weights = weights == Weights::kA ? branch.lda : branch.ldb;
    segment.gradient = weights == Weights::kA ? branch.da : branch.db;
    segment.ld_gradient = weights == Weights::kA ? branch.ldda : branch.lddb;
    segment.dropout = weights == Weights::kA ? make_spec(branch.dropout) : kNoDropout;
    segment.scale = branch.scale;
    segment.module = branch.module;
    segment.rank = static_cast<int32_t>(branch.rank);
    segment.shares = 1;
    segment.next = -1;
    segment.is_first = last[from.adapter] < 0;
    if (!segment.is_first) arguments.segments[last[from.adapter]].next = arguments.count;
    last[from.adapter] = arguments.count++;
  }
  return arguments;
}

void take_wide(MultiArguments* arguments, const pp_matrix& wide) {
  arguments->wide = wide.data;
  arguments->ld_wide = wide.ld;
}

int32_t rank_tiles(const Segment& segment) {
  return static_cast<int32_t>(gpu::divide_up(segment.rank, kTileRanks));
}
int64_t chunks(const Segment& segment) {
  return gpu::divide_up(rank_tiles(segment), kChunkTiles);
}
int chunk_tiles(const Segment& segment) {
  return std::min(rank_tiles(segment), kChunkTiles);
}

template <class Bytes>
size_t most_shared(const MultiArguments& arguments, Bytes bytes) {
  size_t most = 0;
  for (int i = 0; i < arguments.count; i++) most = std::max(most, bytes(arguments.segments[i]));
  return most;
}

/** Gives each segment its blocks(segment) of the grid, and launches if there are any. */
template <class Blocks>
cudaError_t launch_segments(void (*kernel)(MultiArguments), MultiArguments arguments, int threads, size_t shared,
                            cudaStream_t stream, Blocks blocks) {
  int64_t count = 0;
  for (int i = 0; i < arguments.count; i++) {
    arguments.segments[i].first_block = static_cast<int32_t>(count);
    count += blocks(arguments.segments[i]);
  }
  if (count == 0) return cudaSuccess;
  return gpu::launch(kernel, dim3(static_cast<unsigned>(count)), threads, shared, stream, arguments);
}

/** Cuts the wide matrix's columns into shares; returns the floats that row slots take. */
int64_t split_down(MultiArguments* arguments) {
  int64_t slots = 0;
  for (int i = 0; i < arguments->count; i++) {
    Segment& segment = arguments->segments[i];
    const Split columns = split_columns(segment.rows, arguments->width);
    segment.shares = static_cast<int32_t>(columns.shares);
    segment.share_tiles = static_cast<int32_t>(columns.length / Down::kColumns);
    segment.row_slots = slots;
    if (columns.shares > 1) slots += columns.shares * segment.rows * segment.rank;
  }
  return slots;
}

struct GradSlots {
  int64_t columns, rows;
};

/** Cuts the segments' rows into shares; returns the floats that slots take. */
GradSlots split_grad(MultiArguments* arguments, pp_dtype dtype) {
  GradSlots slots = {0, 0};
  const int64_t column_blocks = gpu::divide_up(arguments->width, Grad::kColumns);
  for (int i = 0; i < arguments->count; i++) {
    Segment& segment = arguments->segments[i];
    const Split rows = split_rows(dtype, segment.rows, arguments->width);
    segment.shares = static_cast<int32_t>(rows.shares);
    segment.share_tiles = static_cast<int32_t>(rows.length / grad_tile_rows(dtype));
    segment.column_slots = slots.columns;
    segment.row_slots = slots.rows;
    slots.columns += rows.shares * segment.rank * arguments->width;
    slots.rows += column_blocks * segment.rows * segment.rank;
  }
  return slots;
}

int64_t row_finish_blocks(const Segment& segment) {
  return gpu::divide_up(segment.rows * segment.rank, kFinishThreads);
}

template <class T>
cudaError_t launch_down(const MultiArguments& arguments, cudaStream_t stream) {
  const size_t shared = most_shared(arguments, [](const Segment& segment) {
    return Down::shared_bytes<T>(chunk_tiles(segment), segment.dropout.threshold != 0);
  });
  const cudaError_t error = launch_segments(
      multi_down<T>, arguments, Down::kThreads, shared, stream,
      [](const Segment& segment) { return gpu::divide_up(segment.rows, Down::kRows) * segment.shares * chunks(segment); });
  if (error != cudaSuccess) return error;
  return launch_segments(multi_finish_rows<T>, arguments, kFinishThreads, 0, stream,
                         [](const Segment& segment) { return segment.shares > 1 ? row_finish_blocks(segment) : 0; });
}

template <class T>
cudaError_t launch_up(const MultiArguments& arguments, cudaStream_t stream) {
  const size_t shared = most_shared(arguments, [](const Segment& segment) { return Up::shared_bytes<T>(segment.rank); });
  return launch_segments(multi_up<T>, arguments, Up::kThreads, shared, stream,
                         [&](const Segment& segment) { return up_blocks(segment.rows, arguments.width); });
}

template <class T>
cudaError_t launch_grad(MultiArguments arguments, cudaStream_t stream) {
  const int64_t column_blocks = gpu::divide_up(arguments.width, Grad::kColumns);
  const bool with_rows = arguments.row_slots != nullptr;
  const size_t shared = most_shared(arguments, [&](const Segment& segment) {
    return Grad::shared_bytes<T>(chunk_tiles(segment), with_rows ? chunk_tiles(segment) : 0, segment.dropout.threshold != 0);
  });
  cudaError_t error = launch_segments(multi_grad<T>, arguments, Grad::kThreads, shared, stream,
                                      [&](const Segment& segment) { return column_blocks * segment.shares * chunks(segment); });
  if (error == cudaSuccess && with_rows) {
    arguments.row_parts = static_cast<int32_t>(column_blocks);
    error = launch_segments(multi_finish_rows<T>, arguments, kFinishThreads, 0, stream, row_finish_blocks);
  }
  if (error != cudaSuccess) return error;
  return launch_segments(multi_finish_columns, arguments, kFinishThreads, 0, stream, [&](const Segment& segment) {
    return segment.is_first ? gpu::divide_up(arguments.width * segment.rank, kFinishThreads) : 0;
  });
}

/** out += the segments' products of S or dS with their weights. */
pp_status add_products(const pp_device& device, const ModulesOnRows& multi, Weights weights, const pp_matrix& out,
                       const char* action) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  MultiArguments arguments = make_arguments(multi, weights, out.cols);
  arguments.out = out.data;
  arguments.ldout = out.ld;
  return to_status(dispatch(out.dtype, [&](auto e) { return launch_up<decltype(e)>(arguments, stream_of(device)); }), action);
}
}  // namespace

size_t multi_lora_down_workspace(const pp_matrix& x, const ModulesOnRows& multi) {
  MultiArguments arguments = make_arguments(multi, Weights::kA, x.cols);
  Workspace workspace(nullptr);
  workspace.take<float>(split_down(&arguments));
  return workspace.bytes();
}

pp_status multi_lora_down(const pp_device& device, const pp_matrix& x, const ModulesOnRows& multi, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  MultiArguments arguments = make_arguments(multi, Weights::kA, x.cols);
  take_wide(&arguments, x);
  arguments.out = multi.segments[0].branch.s;
  arguments.ldout = multi.segments[0].branch.lds;
  for (int i = 0; i < arguments.count; i++) arguments.segments[i].scale *= arguments.segments[i].dropout.keep_scale;
  arguments.row_slots = Workspace(workspace).take<float>(split_down(&arguments));
  return to_status(dispatch(x.dtype, [&](auto e) { return launch_down<decltype(e)>(arguments, stream_of(device)); }),
                   "pp_lora_down");
}

pp_status multi_lora_up(const pp_device& device, const ModulesOnRows& multi, const pp_matrix& y) {
  return add_products(device, multi, Weights::kB, y, "pp_lora_up");
}

size_t multi_lora_grad_up_workspace(const pp_matrix& dy, const ModulesOnRows& multi) {
  MultiArguments arguments = make_arguments(multi, Weights::kB, dy.cols);
  const GradSlots slots = split_grad(&arguments, dy.dtype);
  Workspace workspace(nullptr);
  workspace.take<float>(slots.columns);
  workspace.take<float>(slots.rows);
  return workspace.bytes();
}

pp_status multi_lora_grad_up(const pp_device& device, const pp_matrix& dy, const ModulesOnRows& multi, bool accumulate,
                             void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const LoraModule& first = multi.segments[0].branch;
  MultiArguments arguments = make_arguments(multi, Weights::kB, dy.cols);
  take_wide(&arguments, dy);
  arguments.out = first.ds;
  arguments.ldout = first.ldds;
  arguments.accumulate = accumulate;
  const GradSlots slots = split_grad(&arguments, dy.dtype);
  Workspace space(workspace);
  arguments.column_slots = space.take<float>(slots.columns);
  float* row_slots = space.take<float>(slots.rows);
  if (first.ds != nullptr) arguments.row_slots = row_slots;
  return to_status(dispatch(dy.dtype, [&](auto e) { return launch_grad<decltype(e)>(arguments, stream_of(device)); }),
                   "pp_lora_grad_up");
}

size_t multi_lora_grad_down_workspace(const pp_matrix& x, const ModulesOnRows& multi) {
  MultiArguments arguments = make_arguments(multi, Weights::kA, x.cols);
  Workspace workspace(nullptr);
  workspace.take<float>(split_grad(&arguments, x.dtype).columns);
  return workspace.bytes();
}

pp_status multi_lora_grad_down(const pp_device& device, const pp_matrix& x, const ModulesOnRows& multi, bool accumulate,
                               void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  MultiArguments arguments = make_arguments(multi, Weights::kA, x.cols);
  take_wide(&arguments, x);
  arguments.accumulate = accumulate;
  arguments.column_slots = Workspace(workspace).take<float>(split_grad(&arguments, x.dtype).columns);
  return to_status(dispatch(x.dtype, [&](auto e) { return launch_grad<decltype(e)>(arguments, stream_of(device)); }),
                   "pp_lora_grad_down");
}

pp_status multi_lora_grad_input(const pp_device& device, const ModulesOnRows& multi, const pp_matrix& dx) {
  return add_products(device, multi, Weights::kA, dx, "pp_lora_grad_input");
}
}  // namespace prunepeft::cuda
