// AdamW's step on CUDA buffers. Arguments have been checked by the C functions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "optimizer/adamw_plan.h"

namespace prunepeft::cuda {
/** Copies the plan's table to its device. */
pp_status adamw_create(const pp_device& device, pp_adamw* plan);
void adamw_destroy(const pp_adamw& plan);
/** With factors null the copies alone. */
pp_status adamw_step(const pp_device& device, const pp_adamw& plan, const AdamWFactors* factors, float* weights,
                     const float* gradients, float* mean, float* square);
}  // namespace prunepeft::cuda
