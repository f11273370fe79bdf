// What an importance plan holds on the host: segments ordered by module, cut into work items of a fixed size.
#pragma once

#include <vector>

#include "prunepeft/importance.h"

namespace prunepeft {

/** Elements of a work item: 32 KiB of float32, some microseconds of work. */
constexpr int64_t kImportanceItem = 8192;

/** A run of at most kImportanceItem weights of one segment. */
struct ImportanceItem {
  const void* w;
  const void* g;
  int64_t n;
  int32_t module;
  int32_t group;
};

namespace cuda {
struct ImportancePlan;
}

}  // namespace prunepeft

struct pp_importance_plan {
  pp_device_type device_type;
  int32_t device_index;
  pp_dtype dtype;
  int32_t modules;
  int32_t groups;
  /** Ordered by module; within a module in the caller's order. */
  std::vector<prunepeft::ImportanceItem> items;
  /** The items of module i are [module_begin[i], module_begin[i + 1]). */
  std::vector<int64_t> module_begin;
  /** Indices of items ordered by group, and where each group begins in them. */
  std::vector<int64_t> by_group;
  std::vector<int64_t> group_begin;
  /** Weights of each group. */
  std::vector<int64_t> group_weights;
  /** The tables in device memory of a plan for a CUDA device, else null. */
  prunepeft::cuda::ImportancePlan* cuda;
};
