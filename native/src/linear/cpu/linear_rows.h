// How the fused linear shares its rows out, for both element types. For the kernels' translation units alone.
#pragma once

#include "core/product.h"
#include "core/threads.h"
#include "linear/cpu/linear_cpu.h"
#include "prunepeft/device.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Rows of an item: many make good use of W, few share the work out evenly. */
constexpr int64_t kMostRows = 96;
static_assert(kMostRows % kRowGroup == 0, "whole groups");
constexpr int64_t kItemsOfAThread = 4;

static inline int64_t item_rows(int64_t M) {
  const int64_t even = (M + kItemsOfAThread * pp_num_threads() - 1) / (kItemsOfAThread * pp_num_threads());
  return least(kMostRows, round_up(even, kRowGroup));
}

static inline double operations(int64_t M, int64_t N, int64_t K) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
