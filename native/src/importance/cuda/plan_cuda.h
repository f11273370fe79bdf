// The device side of an importance plan: tables of segments, work items and modules in device memory, made once.
//
// A work item is one block's work. Items are sorted by module, so that the blocks of a module can count themselves and the last
// one adds up the module's partial sums.
#pragma once

#include "cuda/gpu.cuh"
#include "importance/plan.h"

namespace prunepeft::cuda {
struct Module {
  int64_t first_item;
  int64_t items;
  int64_t weights;
};

/** Pointers into device memory. */
struct ImportancePlan {
  pp_dtype dtype;
  int32_t modules;
  int32_t groups;
  int64_t items;
  const ImportanceItem* item_table;
  const Module* module_table;
  const int64_t* group_weights;
  unsigned* tickets;  // one a module, all 0 between calls
  void* memory;
};
}  // namespace prunepeft::cuda
