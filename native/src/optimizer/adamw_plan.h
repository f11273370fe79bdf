// What a plan of AdamW's step holds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "optimizer/adamw_element.h"
#include "prunepeft/adamw.h"

struct pp_adamw {
  pp_device_type device_type;
  int32_t device_index;
  pp_dtype dtype;
  int64_t n;
  std::vector<prunepeft::WeightCopy> copies;
  /** The same in the device's memory, else null. */
  prunepeft::WeightCopy* device_copies;
};
