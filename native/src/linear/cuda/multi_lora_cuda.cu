// Launches of LoRA for several adapters.
#include "linear/cuda/multi_lora.cuh"

#include "core/dropout.h"
#include "linear/cuda/multi_lora_cuda.h"
#include "linear/cuda/down_call.cuh"
#include "linear/cuda/grad_call.cuh"

namespace prunepeft::cuda {
namespace {
enum class Weights { kA, kB };

/** Lays the runs out in a table. */
MultiArguments make_arguments(const ModulesOnRows& multi, Weights weights, int64_t width) {
  MultiArguments arguments = {};
  arguments.width = width;
  arguments.rank_major = weights == Weights::kA;
  arguments.narrow = multi.runs[0].module.s;
  arguments.ld_narrow = multi.runs[0].module.lds;
  int32_t last[kMostRuns];  // of the adapter's runs so far
  std::fill(last, last + kMostRuns, -1);
  for (int32_t i = 0; i < multi.count; i++) {
    const ModuleRows& from = multi.runs[i];
    const LoraModule& module = from.module;
    ModuleRun& run = arguments.runs[arguments.count];
    run.first_row = from.first_row;
    run.rows = from.rows;
    run.weights = weights == Weights::kA ? module.a : module.b;
    run.ld_weights = weights == Weights::kA ? module.lda : module.ldb;
    run.gradient = weights == Weights::kA ? module.da : module.db;
    run.ld_gradient = weights == Weights::kA ? module.ldda : module.lddb;
    run.dropout = weights == Weights::kA ? make_spec(module.dropout) : kNoDropout;
    run.kept = module.kept_mask;
    run.scale = module.scale;
    run.mask_name = module.mask_name;
    run.rank = static_cast<int32_t>(module.rank);
    run.shares = 1;
    run.next = -1;
    run.is_first = last[from.adapter] < 0;
    if (!run.is_first) arguments.runs[last[from.adapter]].next = arguments.count;
    last[from.adapter] = arguments.count++;
  }
  return arguments;
}

void take_wide(MultiArguments* arguments, const pp_matrix& wide) {
  arguments->wide = wide.data;
  arguments->ld_wide = wide.ld;
}

int32_t rank_tiles(const ModuleRun& run) {
  return static_cast<int32_t>(gpu::divide_up(run.rank, kTileRanks));
}
int64_t chunks(const ModuleRun& run) {
  return gpu::divide_up(rank_tiles(run), kChunkTiles);
}
int chunk_tiles(const ModuleRun& run) {
  return std::min(rank_tiles(run), kChunkTiles);
}

template <class Bytes>
size_t most_shared(const MultiArguments& arguments, Bytes bytes) {
  size_t most = 0;
  for (int i = 0; i < arguments.count; i++) most = std::max(most, bytes(arguments.runs[i]));
  return most;
}

bool one_tile_each(const MultiArguments& arguments) {
  return std::all_of(arguments.runs, arguments.runs + arguments.count,
                     [](const ModuleRun& run) { return rank_tiles(run) == 1; });
}

template <class T>
bool weights_aligned(const MultiArguments& arguments) {
  return std::all_of(arguments.runs, arguments.runs + arguments.count,
                     [](const ModuleRun& run) { return gpu::rows_aligned<T>(run.weights, run.ld_weights); });
}

/** Gives each run its blocks(run) of the grid, and launches if there are any. */
template <class Blocks>
cudaError_t launch_runs(void (*kernel)(MultiArguments), MultiArguments arguments, int threads, size_t shared,
                        cudaStream_t stream, Blocks blocks) {
  int64_t count = 0;
  for (int i = 0; i < arguments.count; i++) {
    arguments.runs[i].first_block = static_cast<int32_t>(count);
    count += blocks(arguments.runs[i]);
  }
  if (count == 0) return cudaSuccess;
  return gpu::launch(kernel, count, threads, shared, stream, arguments);
}

/** Cuts the wide matrix's columns into shares; returns the floats that row slots take. */
int64_t split_down(MultiArguments* arguments) {
  int64_t slots = 0;
  for (int i = 0; i < arguments->count; i++) {
    ModuleRun& run = arguments->runs[i];
    const Split columns = split_columns(run.rows, arguments->width);
    run.shares = static_cast<int32_t>(columns.shares);
    run.share_tiles = static_cast<int32_t>(columns.length / Down::kColumns);
    run.row_slots = slots;
    if (columns.shares > 1) slots += columns.shares * run.rows * run.rank;
  }
  return slots;
}

/** Shares the runs out among blocks; returns the floats that slots take. */
GradSlots split_runs(MultiArguments* arguments, pp_dtype dtype, bool with_rows) {
  GradSlots slots = {0, 0};
  for (int i = 0; i < arguments->count; i++) {
    ModuleRun& run = arguments->runs[i];
    const GradSplit split = split_grad(dtype, run.rows, arguments->width, with_rows);
    run.passes = static_cast<int16_t>(split.passes);
    run.shares = static_cast<int32_t>(split.rows.shares);
    run.share_tiles = static_cast<int32_t>(split.rows.length / grad_tile_rows(dtype));
    run.column_slots = slots.columns;
    run.row_slots = slots.rows;
    const GradSlots of_run = grad_slots(dtype, run.rows, arguments->width, run.rank, with_rows ? run.rank : 0);
    slots.columns += of_run.columns;
    slots.rows += of_run.rows;
  }
  return slots;
}

int64_t row_finish_blocks(const ModuleRun& run) {
  return gpu::divide_up(run.rows * run.rank, kFinishThreads);
}

template <class T>
cudaError_t launch_down(const MultiArguments& arguments, cudaStream_t stream) {
  const size_t shared = most_shared(
      arguments, [](const ModuleRun& run) { return Down::shared_bytes<T>(chunk_tiles(run), run.dropout.threshold != 0); });
  const bool aligned = gpu::rows_aligned<T>(arguments.wide, arguments.ld_wide) && weights_aligned<T>(arguments);
  const auto kernel = !aligned                   ? multi_down<T, false, kChunkTiles>
                      : one_tile_each(arguments) ? multi_down<T, true, 1>
                                                 : multi_down<T, true, kChunkTiles>;
  const cudaError_t error = launch_runs(kernel, arguments, Down::kThreads, shared, stream, [](const ModuleRun& run) {
    return gpu::divide_up(run.rows, Down::kRows) * run.shares * chunks(run);
  });
  if (error != cudaSuccess) return error;
  return launch_runs(multi_finish_rows<T>, arguments, kFinishThreads, 0, stream,
                     [](const ModuleRun& run) { return run.shares > 1 ? row_finish_blocks(run) : 0; });
}

template <class T>
cudaError_t launch_up(const MultiArguments& arguments, cudaStream_t stream) {
  const size_t shared = most_shared(arguments, [](const ModuleRun& run) { return Up::shared_bytes<T>(run.rank); });
  const bool masked = std::any_of(arguments.runs, arguments.runs + arguments.count,
                                  [](const ModuleRun& run) { return run.dropout.threshold != 0; });
  const bool aligned = weights_aligned<T>(arguments) && arguments.width % gpu::kGroup == 0 &&
                       std::all_of(arguments.runs, arguments.runs + arguments.count,
                                   [](const ModuleRun& run) { return run.rank % gpu::kPerVector<T> == 0; }) &&
                       gpu::rows_aligned<T>(arguments.narrow, arguments.ld_narrow) &&
                       gpu::rows_aligned<T>(arguments.out, arguments.ldout);
  const auto kernel = aligned  ? masked ? multi_up<T, true, true> : multi_up<T, true, false>
                       : masked ? multi_up<T, false, true>
                               : multi_up<T, false, false>;
  return launch_runs(kernel, arguments, Up::kThreads, shared, stream,
                     [&](const ModuleRun& run) { return up_blocks(run.rows, arguments.width); });
}

template <class T>
cudaError_t launch_grad(MultiArguments arguments, cudaStream_t stream) {
  const bool with_rows = arguments.row_slots != nullptr;
  size_t most_bytes = gpu::kMostSharedBytes;
  cudaError_t error = with_rows ? most_shared_bytes(&most_bytes) : cudaSuccess;
  if (error != cudaSuccess) return error;
  arguments.stages = kGradMostStages;
  for (int i = 0; i < arguments.count; i++) {
    const ModuleRun& run = arguments.runs[i];
    const int tiles = chunk_tiles(run);
    arguments.stages =
        std::min(arguments.stages, Grad::stages<T>(tiles, with_rows ? tiles : 0, run.dropout.threshold != 0, most_bytes));
  }
  const size_t shared = most_shared(arguments, [&](const ModuleRun& run) {
    const int tiles = chunk_tiles(run);
    return Grad::shared_bytes<T>(arguments.stages, tiles, with_rows ? tiles : 0, run.dropout.threshold != 0);
  });
  const bool aligned =
      gpu::rows_aligned<T>(arguments.wide, arguments.ld_wide) && gpu::rows_aligned<T>(arguments.narrow, arguments.ld_narrow);
  const auto kernel_of = [&](auto rows) {
    constexpr bool kRows = decltype(rows)::value;
    return !aligned                   ? multi_grad<T, false, kChunkTiles, kRows>
           : one_tile_each(arguments) ? multi_grad<T, true, 1, kRows>
                                      : multi_grad<T, true, kChunkTiles, kRows>;
  };
  const auto kernel = with_rows ? kernel_of(std::true_type{}) : kernel_of(std::false_type{});
  error = launch_runs(kernel, arguments, Grad::kThreads, shared, stream,
                      [&](const ModuleRun& run) { return column_blocks(run, arguments.width) * run.shares * chunks(run); });
  if (error == cudaSuccess && with_rows) {
    arguments.row_blocks = true;
    error = launch_runs(multi_finish_rows<T>, arguments, kFinishThreads, 0, stream, row_finish_blocks);
  }
  if (error != cudaSuccess) return error;
  return launch_runs(multi_finish_columns, arguments, kFinishThreads, 0, stream, [&](const ModuleRun& run) {
    return run.is_first ? gpu::divide_up(arguments.width * run.rank, kFinishThreads) : 0;
  });
}

/** out += the runs' products of S or dS with their weights. */
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
  arguments.out = multi.runs[0].module.s;
  arguments.ldout = multi.runs[0].module.lds;
  for (int i = 0; i < arguments.count; i++) arguments.runs[i].scale *= arguments.runs[i].dropout.keep_scale;
  arguments.row_slots = Workspace(workspace).take<float>(split_down(&arguments));
  return to_status(dispatch(x.dtype, [&](auto e) { return launch_down<decltype(e)>(arguments, stream_of(device)); }),
                   "pp_lora_down");
}

pp_status multi_lora_up(const pp_device& device, const ModulesOnRows& multi, const pp_matrix& y) {
  return add_products(device, multi, Weights::kB, y, "pp_lora_up");
}

size_t multi_lora_grad_up_workspace(const pp_matrix& dy, const ModulesOnRows& multi) {
  MultiArguments arguments = make_arguments(multi, Weights::kB, dy.cols);
  const GradSlots slots = split_runs(&arguments, dy.dtype, multi.runs[0].module.ds != nullptr);
  Workspace workspace(nullptr);
  workspace.take<float>(slots.columns);
  workspace.take<float>(slots.rows);
  return workspace.bytes();
}

pp_status multi_lora_grad_up(const pp_device& device, const pp_matrix& dy, const ModulesOnRows& multi, bool accumulate,
                             void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const LoraModule& first = multi.runs[0].module;
  MultiArguments arguments = make_arguments(multi, Weights::kB, dy.cols);
  take_wide(&arguments, dy);
  arguments.out = first.ds;
  arguments.ldout = first.ldds;
  arguments.accumulate = accumulate;
  const GradSlots slots = split_runs(&arguments, dy.dtype, first.ds != nullptr);
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
  workspace.take<float>(split_runs(&arguments, x.dtype, false).columns);
  return workspace.bytes();
}

pp_status multi_lora_grad_down(const pp_device& device, const pp_matrix& x, const ModulesOnRows& multi, bool accumulate,
                               void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  MultiArguments arguments = make_arguments(multi, Weights::kA, x.cols);
  take_wide(&arguments, x);
  arguments.accumulate = accumulate;
  arguments.column_slots = Workspace(workspace).take<float>(split_runs(&arguments, x.dtype, false).columns);
  return to_status(dispatch(x.dtype, [&](auto e) { return launch_grad<decltype(e)>(arguments, stream_of(device)); }),
                   "pp_lora_grad_down");
}

pp_status multi_lora_grad_input(const pp_device& device, const ModulesOnRows& multi, const pp_matrix& dx) {
  return add_products(device, multi, Weights::kA, dx, "pp_lora_grad_input");
}
}  // namespace prunepeft::cuda
