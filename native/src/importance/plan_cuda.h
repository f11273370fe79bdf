// The device side of an importance plan: tables of segments, work items and modules in device memory, made once.
//
// A work item is at most kItemElements weights of one segment, and one block's work. Items are sorted by module, so that the
// blocks of a module can count themselves and the last one adds up the module's partial sums.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/gpu.cuh"
#include "prunepeft/importance.h"

namespace prunepeft::cuda {
constexpr int kItemElements = 8192;

struct Item {
  const void* w;
  const void* g;  // null: gradients count as 0
  int32_t n;
  int32_t module;
  int32_t group;
};

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
  const Item* item_table;
  const Module* module_table;
  const int64_t* group_weights;
  void* memory;
};
}  // namespace prunepeft::cuda
