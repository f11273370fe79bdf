// Entry points of prunepeft/importance.h: plans are made and arguments checked here, once for all devices.
#include "prunepeft/importance.h"

#include <cinttypes>
#include <cstdio>
#include <new>

#include "core/arguments.h"
#include "core/context.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "importance/cpu/importance_cpu.h"
#include "importance/cuda/importance_cuda.h"
#include "importance/plan.h"

namespace prunepeft {
namespace {

// A group's ranks are counted in 32 bits.
constexpr int64_t kMostWeights = UINT32_MAX;

void check_segments(Arguments& arguments, size_t element, const pp_segment* segments, int64_t count, int32_t modules,
                    int32_t groups) {
  int64_t total = 0;
  for (int64_t i = 0; i < count && !arguments.failed(); ++i) {
    const pp_segment& segment = segments[i];
    char name[64];
    const auto field = [&](const char* of) {
      std::snprintf(name, sizeof name, "segments[%" PRId64 "].%s", i, of);
      return name;
    };
    arguments.at_least(field("n"), segment.n, 0);
    arguments.at_most(field("n"), segment.n, kMostWeights);
    if (segment.n > 0) {
      arguments.not_null(field("w"), segment.w);
      arguments.aligned(field("w"), segment.w, element);
      arguments.aligned(field("g"), segment.g, element);
    }
    arguments.at_least(field("module"), segment.module, 0);
    arguments.at_most(field("module"), segment.module, modules - 1);
    arguments.at_least(field("group"), segment.group, 0);
    arguments.at_most(field("group"), segment.group, groups - 1);
    total += segment.n;
    arguments.require(total <= kMostWeights, "segments must hold at most %" PRId64 " weights together, got %" PRId64,
                      kMostWeights, total);
  }
}

/** Turns counts into beginnings: begin[i] becomes the sum of the counts before i; one more entry than counts. */
void prefix_sums(std::vector<int64_t>& begin) {
  int64_t sum = 0;
  for (int64_t& entry : begin) {
    const int64_t count = entry;
    entry = sum;
    sum += count;
  }
}

void fill_plan(pp_importance_plan& plan, size_t element, const pp_segment* segments, int64_t count) {
  plan.module_begin.assign(size_t{1} + plan.modules, 0);
  plan.group_begin.assign(size_t{1} + plan.groups, 0);
  plan.group_weights.assign(plan.groups, 0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t items = (segments[i].n + kImportanceItem - 1) / kImportanceItem;
    plan.module_begin[segments[i].module] += items;
    plan.group_begin[segments[i].group] += items;
    plan.group_weights[segments[i].group] += segments[i].n;
  }
  prefix_sums(plan.module_begin);
  prefix_sums(plan.group_begin);
  plan.items.resize(plan.module_begin.back());
  plan.by_group.resize(plan.group_begin.back());
  std::vector<int64_t> next_of_module(plan.module_begin);
  for (int64_t i = 0; i < count; ++i) {
    const pp_segment& segment = segments[i];
    for (int64_t start = 0; start < segment.n; start += kImportanceItem) {
      const int64_t left = segment.n - start;
      const auto at = [&](const void* base) -> const void* {
        return base == nullptr ? nullptr : static_cast<const char*>(base) + start * element;
      };
      plan.items[next_of_module[segment.module]++] = {
          at(segment.w), at(segment.g), left < kImportanceItem ? left : kImportanceItem, segment.module, segment.group};
    }
  }
  std::vector<int64_t> next_of_group(plan.group_begin);
  for (size_t i = 0; i < plan.items.size(); ++i) plan.by_group[next_of_group[plan.items[i].group]++] = static_cast<int64_t>(i);
}

void free_plan(pp_importance_plan* plan) {
  if constexpr (kCuda) {
    if (plan != nullptr && plan->cuda != nullptr) cuda::importance_plan_destroy(plan->device_index, plan->cuda);
  }
  delete plan;
}

/** The checks that both calls on a plan share. */
void check_plan(Arguments& arguments, const pp_context* context, const pp_importance_plan* plan) {
  arguments.context(context);
  arguments.handle("plan", Handle::kImportancePlan, plan);
  if (arguments.failed()) return;
  const pp_device& device = context->device;
  arguments.require(device.type == plan->device_type && (device.type == PP_CPU || device.index == plan->device_index),
                    "context->device must be the plan's (type %d, index %d), got type %d, index %d",
                    static_cast<int>(plan->device_type), static_cast<int>(plan->device_index), static_cast<int>(device.type),
                    static_cast<int>(device.index));
}

size_t workspace_bytes(const pp_importance_plan& plan) {
  if constexpr (kCuda) {
    if (plan.cuda != nullptr) return cuda::importance_workspace(*plan.cuda);
  }
  return importance_cpu_workspace(plan);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_importance_plan_create(const pp_context* context, pp_dtype dtype, const pp_segment* segments,
                                    int64_t segment_count, int32_t modules, int32_t groups, pp_importance_plan** plan) {
  Arguments arguments;
  arguments.context(context);
  arguments.dtype("dtype", dtype);
  arguments.at_least("segment_count", segment_count, 1);
  arguments.at_most("segment_count", segment_count, kMostBytes / static_cast<int64_t>(sizeof(pp_segment)));
  arguments.at_least("modules", modules, 1);
  arguments.at_least("groups", groups, 1);
  arguments.not_null("segments", segments);
  arguments.not_null("plan", plan);
  if (!arguments.failed()) check_segments(arguments, pp_dtype_size(dtype), segments, segment_count, modules, groups);
  if (arguments.failed()) return arguments.status();
  const pp_device* const device = &context->device;
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK) return supported;
  pp_importance_plan* made = nullptr;
  pp_status status = PP_OK;
  try {
    made = new pp_importance_plan{device->type, device->index, dtype, modules, groups, {}, {}, {}, {}, {}, nullptr};
    fill_plan(*made, pp_dtype_size(dtype), segments, segment_count);
    if constexpr (kCuda) {
      if (is_cuda(device)) status = cuda::importance_plan_create(*device, *made, &made->cuda);
    }
  } catch (const std::bad_alloc&) {
    status = fail(PP_OUT_OF_MEMORY, "out of memory for a plan of %" PRId64 " segments", segment_count);
  }
  if (status != PP_OK) {
    free_plan(made);
    return status;
  }
  return give_handle(Handle::kImportancePlan, made, plan, [=] { free_plan(made); });
}

pp_status pp_importance_plan_destroy(pp_importance_plan* plan) {
  if (plan == nullptr) return PP_OK;
  return end_handle(Handle::kImportancePlan, "plan", plan, [=] {
    free_plan(plan);
    return PP_OK;
  });
}

pp_status pp_importance(const pp_context* context, const pp_importance_plan* plan, pp_dtype zero_dtype, const float* thresholds,
                        double* statistics) {
  Arguments arguments;
  check_plan(arguments, context, plan);
  arguments.dtype("zero_dtype", zero_dtype);
  arguments.not_null("statistics", statistics);
  arguments.aligned("thresholds", thresholds, sizeof *thresholds);
  arguments.aligned("statistics", statistics, sizeof *statistics);
  if (arguments.failed()) return arguments.status();
  void* memory;
  const pp_status status = take_workspace(*context, workspace_bytes(*plan), &memory);
  if (status != PP_OK) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) {
      return cuda::importance(context->device, *plan->cuda, zero_dtype, thresholds, statistics, memory);
    }
  }
  importance_cpu().statistics({*plan, zero_dtype, thresholds, statistics, memory});
  return PP_OK;
}

pp_status pp_importance_quantile(const pp_context* context, const pp_importance_plan* plan, double q, float* thresholds) {
  Arguments arguments;
  check_plan(arguments, context, plan);
  arguments.require(q >= 0.0 && q <= 1.0, "q must be in [0, 1], got %g", q);
  arguments.not_null("thresholds", thresholds);
  arguments.aligned("thresholds", thresholds, sizeof *thresholds);
  if (arguments.failed()) return arguments.status();
  void* memory;
  const pp_status status = take_workspace(*context, workspace_bytes(*plan), &memory);
  if (status != PP_OK) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) {
      return cuda::importance_quantile(context->device, *plan->cuda, q, thresholds, memory);
    }
  }
  importance_cpu().quantile({*plan, q, thresholds, memory});
  return PP_OK;
}

pp_status pp_output_magnitude(const pp_context* context, const pp_matrix* p, pp_activation activation, const pp_matrix* q,
                              const pp_matrix* bias, const uint8_t* row_mask, double* sum) {
  Arguments arguments;
  if (!arguments.first(context, "p", p)) return arguments.status();
  const pp_device& device = context->device;
  const pp_dtype dtype = p->dtype;
  const int64_t M = p->rows, r = p->cols;
  arguments.matrix("q", q, dtype, Arguments::kAny, r);
  if (!arguments.failed()) arguments.at_least("q.rows", q->rows, 1);
  if (!arguments.failed() && bias != nullptr) arguments.matrix("bias", bias, dtype, 1, q->rows);
  arguments.activation("activation", activation);
  arguments.not_null("sum", sum);
  arguments.aligned("sum", sum, sizeof *sum);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(&device, dtype);
  if (supported != PP_OK) return supported;
  const int64_t N = q->rows;
  void* memory;
  if constexpr (kCuda) {
    if (is_cuda(&device)) {
      const pp_status status = take_workspace(*context, M == 0 ? 0 : cuda::output_magnitude_workspace(*p, N), &memory);
      if (status != PP_OK) return status;
      return cuda::output_magnitude(device, *p, activation, *q, bias, row_mask, sum, memory);
    }
  }
  if (M == 0) {
    *sum = 0.0;
    return PP_OK;
  }
  const pp_status status = take_workspace(*context, output_magnitude_cpu_workspace(M, N, r), &memory);
  if (status != PP_OK) return status;
  importance_cpu().output_magnitude({M, N, r, static_cast<const float*>(p->data), p->ld, activation,
                                     static_cast<const float*>(q->data), q->ld,
                                     static_cast<const float*>(bias == nullptr ? nullptr : bias->data), row_mask, sum, memory});
  return PP_OK;
}
