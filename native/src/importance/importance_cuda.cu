// The plan's tables, and the launches of the statistics and quantile kernels.
// SPDX-License-Identifier: Apache-2.0
#include "importance/importance_cuda.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "cuda/device.h"
#include "importance/quantile.cuh"
#include "importance/statistics.cuh"

namespace prunepeft::cuda {
namespace {
/** Parts of the workspace of pp_importance. */
struct StatisticsParts {
  unsigned* tickets;
  double* slots;
  StatisticsParts(const ImportancePlan& plan, Workspace& workspace)
      : tickets(workspace.take<unsigned>(plan.modules)), slots(workspace.take<double>(plan.items * kSums)) {}
};

/** Parts of the workspace of pp_importance_quantile. */
struct QuantileParts {
  Selection* selections;
  unsigned long long* histograms;
  QuantileParts(const ImportancePlan& plan, Workspace& workspace)
      : selections(workspace.take<Selection>(plan.groups)),
        histograms(workspace.take<unsigned long long>(static_cast<int64_t>(plan.groups) * kBins)) {}
};

struct Tables {
  std::vector<Item> items;
  std::vector<Module> modules;
  std::vector<int64_t> group_weights;
};

Tables make_tables(pp_dtype dtype, const pp_segment* segments, int64_t segment_count, int32_t modules, int32_t groups) {
  Tables tables;
  tables.modules.resize(static_cast<size_t>(modules));
  tables.group_weights.resize(static_cast<size_t>(groups));
  const auto size = static_cast<int64_t>(pp_dtype_size(dtype));
  const auto at = [&](const void* p, int64_t i) { return p == nullptr ? nullptr : static_cast<const char*>(p) + i * size; };
  for (int64_t s = 0; s < segment_count; s++) {
    const pp_segment& segment = segments[s];
    tables.group_weights[static_cast<size_t>(segment.group)] += segment.n;
    tables.modules[static_cast<size_t>(segment.module)].weights += segment.n;
    for (int64_t i = 0; i < segment.n; i += kItemElements)
      tables.items.push_back({at(segment.w, i), at(segment.g, i),
                              static_cast<int32_t>(std::min<int64_t>(kItemElements, segment.n - i)), segment.module,
                              segment.group});
  }
  std::stable_sort(tables.items.begin(), tables.items.end(), [](const Item& a, const Item& b) { return a.module < b.module; });
  for (size_t i = 0; i < tables.items.size(); i++) {
    Module& module = tables.modules[static_cast<size_t>(tables.items[i].module)];
    if (module.items++ == 0) module.first_item = static_cast<int64_t>(i);
  }
  return tables;
}

/** The largest magnitude that rounds to zero: half the smallest subnormal, since ties go to even. */
float zero_limit(pp_dtype zero_dtype) {
  if (zero_dtype == PP_FLOAT16) return std::ldexp(1.0f, -25);
  if (zero_dtype == PP_BFLOAT16) return std::ldexp(1.0f, -134);
  return 0;
}
}  // namespace

pp_status importance_plan_create(const pp_device& device, pp_dtype dtype, const pp_segment* segments, int64_t segment_count,
                                 int32_t modules, int32_t groups, ImportancePlan** plan) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const Tables tables = make_tables(dtype, segments, segment_count, modules, groups);
  const size_t item_bytes = tables.items.size() * sizeof(Item), module_bytes = tables.modules.size() * sizeof(Module),
               group_bytes = tables.group_weights.size() * sizeof(int64_t);
  const size_t module_offset = static_cast<size_t>(gpu::round_up(static_cast<int64_t>(item_bytes), gpu::kVectorBytes));
  const size_t group_offset =
      module_offset + static_cast<size_t>(gpu::round_up(static_cast<int64_t>(module_bytes), gpu::kVectorBytes));
  void* memory = nullptr;
  pp_status status = to_status(cudaMalloc(&memory, group_offset + group_bytes), "allocating an importance plan");
  if (status != PP_OK) return status;
  char* bytes = static_cast<char*>(memory);
  const auto copy = [&](size_t offset, const void* from, size_t n) {
    if (status == PP_OK && n != 0)
      status = to_status(cudaMemcpy(bytes + offset, from, n, cudaMemcpyHostToDevice), "copying an importance plan");
  };
  copy(0, tables.items.data(), item_bytes);
  copy(module_offset, tables.modules.data(), module_bytes);
  copy(group_offset, tables.group_weights.data(), group_bytes);
  if (status != PP_OK) {
    cudaFree(memory);
    return status;
  }
  *plan = new ImportancePlan{dtype,
                             modules,
                             groups,
                             static_cast<int64_t>(tables.items.size()),
                             reinterpret_cast<const Item*>(bytes),
                             reinterpret_cast<const Module*>(bytes + module_offset),
                             reinterpret_cast<const int64_t*>(bytes + group_offset),
                             memory};
  return PP_OK;
}

void importance_plan_destroy(ImportancePlan* plan) {
  cudaFree(plan->memory);
  delete plan;
}

size_t importance_workspace(const ImportancePlan& plan) {
  Workspace statistics_space(nullptr), quantile_space(nullptr);
  StatisticsParts(plan, statistics_space);
  QuantileParts(plan, quantile_space);
  return std::max(statistics_space.bytes(), quantile_space.bytes());
}

pp_status importance(const pp_device& device, const ImportancePlan& plan, pp_dtype zero_dtype, const float* thresholds,
                     double* table, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  Workspace space(workspace);
  const StatisticsParts parts(plan, space);
  const size_t table_bytes = static_cast<size_t>(plan.modules) * PP_STATISTICS * sizeof(double);
  cudaError_t error = cudaMemsetAsync(table, 0, table_bytes, stream);  // modules without weights stay 0
  if (error == cudaSuccess)
    error = cudaMemsetAsync(parts.tickets, 0, static_cast<size_t>(plan.modules) * sizeof(unsigned), stream);
  if (error == cudaSuccess && plan.items != 0)
    error = dispatch(plan.dtype, [&](auto element) {
      return gpu::launch(statistics<decltype(element)>, dim3(static_cast<unsigned>(plan.items)), kThreads, 0, stream,
                         plan.item_table, plan.module_table, thresholds, zero_limit(zero_dtype), parts.slots, parts.tickets,
                         table);
    });
  return to_status(error, "pp_importance");
}

pp_status importance_quantile(const pp_device& device, const ImportancePlan& plan, double q, float* thresholds,
                              void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  const auto groups = static_cast<unsigned>(plan.groups);
  Workspace space(workspace);
  const QuantileParts parts(plan, space);
  cudaError_t error = cudaMemsetAsync(parts.histograms, 0, sizeof(unsigned long long) * kBins * groups, stream);
  if (error == cudaSuccess)
    error = gpu::launch(start_selection, dim3(static_cast<unsigned>(gpu::divide_up(plan.groups, kQuantileThreads))),
                        kQuantileThreads, 0, stream, plan.group_weights, plan.groups, q, parts.selections, thresholds);
  const int digits = plan.dtype == PP_FLOAT32 ? kMostDigits : kMostDigits - 1;
  for (int i = 0; i < digits && error == cudaSuccess && plan.items != 0; i++) {
    error = dispatch(plan.dtype, [&](auto element) {
      return gpu::launch(histogram<decltype(element)>, dim3(static_cast<unsigned>(plan.items)), kQuantileThreads, 0, stream,
                         plan.item_table, parts.selections, kDigits[i], parts.histograms);
    });
    if (error == cudaSuccess)
      error = gpu::launch(select_digit, dim3(groups), kQuantileThreads, 0, stream, kDigits[i], parts.histograms,
                          parts.selections, thresholds);
  }
  return to_status(error, "pp_importance_quantile");
}
}  // namespace prunepeft::cuda
