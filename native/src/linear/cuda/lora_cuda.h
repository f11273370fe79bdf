// LoRA of modules on the same rows on CUDA buffers. Arguments have been checked by the C functions of the same names; x, y and
// their gradients hold the modules' rows, 1 or more, and modules drop alike.
#pragma once

#include "linear/lora_module.h"

namespace prunepeft::cuda {
size_t lora_down_workspace(const pp_matrix& x, int64_t ranks);
pp_status lora_down(const pp_device& device, const pp_matrix& x, const LoraModule* modules, int32_t count, void* workspace);
pp_status lora_up(const pp_device& device, const LoraModule& module, const pp_matrix& y, bool accumulate);
size_t lora_grad_up_workspace(const pp_matrix& dy, const LoraModule& module);
pp_status lora_grad_up(const pp_device& device, const pp_matrix& dy, const LoraModule& module, bool accumulate,
                       void* workspace);
size_t lora_grad_down_workspace(const pp_matrix& x, int64_t ranks);
pp_status lora_grad_down(const pp_device& device, const pp_matrix& x, const LoraModule* modules, int32_t count, bool accumulate,
                         void* workspace);
pp_status lora_grad_input(const pp_device& device, const LoraModule* modules, int32_t count, const pp_matrix& dx,
                          bool accumulate);
}  // namespace prunepeft::cuda
