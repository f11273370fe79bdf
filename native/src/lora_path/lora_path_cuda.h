// The choice of prunepeft/lora_path.h for a CUDA device, whose arguments have been checked. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lora_path/choice.h"

namespace prunepeft::cuda {
pp_status choose_lora_paths(const pp_device& device, const LoraShape& shape, LoraPaths* paths);
}  // namespace prunepeft::cuda
