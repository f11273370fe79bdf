// The plan's tables, and the launches of the statistics and quantile kernels.
#include "importance/cuda/importance_cuda.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "core/status.h"
#include "cuda/availability.h"
#include "cuda/device.h"
#include "cuda/release_memory.h"
#include "importance/cuda/quantile.cuh"
#include "importance/cuda/statistics.cuh"

namespace prunepeft::cuda {
namespace {
/** Parts of the workspace of pp_importance. */
struct StatisticsParts {
  double* slots;
  StatisticsParts(const ImportancePlan& plan, Workspace& workspace) : slots(workspace.take<double>(plan.items * kSums)) {}
};

/** Parts of the workspace of pp_importance_quantile. */
struct QuantileParts {
  Selection* selections;
  unsigned long long* histograms;
  QuantileParts(const ImportancePlan& plan, Workspace& workspace)
      : selections(workspace.take<Selection>(plan.groups)),
        histograms(workspace.take<unsigned long long>(static_cast<int64_t>(plan.groups) * kBins)) {}
};

std::vector<Module> make_modules(const pp_importance_plan& plan) {
  std::vector<Module> modules(static_cast<size_t>(plan.modules));
  for (size_t m = 0; m < modules.size(); m++) {
    modules[m] = {plan.module_begin[m], plan.module_begin[m + 1] - plan.module_begin[m], 0};
    for (int64_t i = plan.module_begin[m]; i < plan.module_begin[m + 1]; i++)
      modules[m].weights += plan.items[static_cast<size_t>(i)].n;
  }
  return modules;
}

/** The largest magnitude that rounds to zero: half the smallest subnormal, since ties go to even. */
float zero_limit(pp_dtype zero_dtype) {
  if (zero_dtype == PP_FLOAT16) return std::ldexp(1.0f, -25);
  if (zero_dtype == PP_BFLOAT16) return std::ldexp(1.0f, -134);
  return 0;
}
}  // namespace

pp_status importance_plan_create(const pp_device& device, const pp_importance_plan& host, ImportancePlan** plan) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const std::vector<Module> modules = make_modules(host);
  const auto aligned = [](size_t bytes) {
    return static_cast<size_t>(gpu::round_up(static_cast<int64_t>(bytes), gpu::kVectorBytes));
  };
  const size_t item_bytes = host.items.size() * sizeof(ImportanceItem), module_bytes = modules.size() * sizeof(Module),
               group_bytes = host.group_weights.size() * sizeof(int64_t);
  const std::vector<unsigned> tickets(modules.size());
  const size_t module_offset = aligned(item_bytes), group_offset = module_offset + aligned(module_bytes),
               ticket_offset = group_offset + aligned(group_bytes), ticket_bytes = tickets.size() * sizeof(unsigned);
  void* memory = nullptr;
  pp_status status = allocate_current(device, ticket_offset + ticket_bytes, &memory, "allocating an importance plan");
  if (status != PP_OK) return status;
  char* bytes = static_cast<char*>(memory);
  const auto copy = [&](size_t offset, const void* from, size_t n) {
    if (status == PP_OK && n != 0) status = copy_to_device(device, bytes + offset, from, n);
  };
  copy(0, host.items.data(), item_bytes);
  copy(module_offset, modules.data(), module_bytes);
  copy(group_offset, host.group_weights.data(), group_bytes);
  copy(ticket_offset, tickets.data(), ticket_bytes);
  if (status == PP_OK) {
    *plan = new (std::nothrow) ImportancePlan{host.dtype,
                                              host.modules,
                                              host.groups,
                                              static_cast<int64_t>(host.items.size()),
                                              reinterpret_cast<const ImportanceItem*>(bytes),
                                              reinterpret_cast<const Module*>(bytes + module_offset),
                                              reinterpret_cast<const int64_t*>(bytes + group_offset),
                                              reinterpret_cast<unsigned*>(bytes + ticket_offset),
                                              memory};
    if (*plan == nullptr) status = fail(PP_OUT_OF_MEMORY, "out of memory for an importance plan");
  }
  if (status != PP_OK) cudaFree(memory);
  return status;
}

void importance_plan_destroy(int32_t device_index, ImportancePlan* plan) {
  const CurrentDevice current({PP_CUDA, device_index, nullptr});
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
  if (plan.items == 0) {
    const size_t table_bytes = static_cast<size_t>(plan.modules) * PP_STATISTICS * sizeof(double);
    return to_status(cudaMemsetAsync(table, 0, table_bytes, stream), "pp_importance");
  }
  const cudaError_t error = dispatch(plan.dtype, [&](auto element) {
    return gpu::launch(statistics<decltype(element)>, plan.items, kThreads, 0, stream, plan.item_table, plan.module_table,
                       plan.modules, thresholds, zero_limit(zero_dtype), parts.slots, plan.tickets, table);
  });
  return to_status(error, "pp_importance");
}

pp_status importance_quantile(const pp_device& device, const ImportancePlan& plan, double q, float* thresholds,
                              void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  Workspace space(workspace);
  const QuantileParts parts(plan, space);
  cudaError_t error = gpu::launch(start_selection, plan.groups, kQuantileThreads, 0, stream, plan.group_weights, q,
                                  parts.histograms, parts.selections, thresholds);
  const int digits = plan.dtype == PP_FLOAT32 ? kMostDigits : kMostDigits - 1;
  for (int i = 0; i < digits && error == cudaSuccess && plan.items != 0; i++) {
    error = dispatch(plan.dtype, [&](auto element) {
      return gpu::launch(histogram<decltype(element)>, plan.items, kQuantileThreads, 0, stream, plan.item_table,
                         parts.selections, kDigits[i], parts.histograms);
    });
    if (error == cudaSuccess)
      error = gpu::launch(select_digit, plan.groups, kQuantileThreads, 0, stream, kDigits[i], parts.histograms,
                          parts.selections, thresholds);
  }
  return to_status(error, "pp_importance_quantile");
}
}  // namespace prunepeft::cuda
