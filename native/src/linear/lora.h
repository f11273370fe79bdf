// The functions of LoRA in prunepeft/linear.h, for arguments that have been checked.
#pragma once

#include "core/context.h"
#include "prunepeft/linear.h"

namespace prunepeft {

pp_status lora_down(Room& room, const pp_matrix& x, const pp_lora_module* modules, int32_t count);
pp_status lora_up(Room& room, const pp_lora_module* modules, int32_t count, const pp_matrix& y, bool accumulate);
pp_status lora_grad_up(Room& room, const pp_matrix& dy, const pp_lora_module* modules, int32_t count);
pp_status lora_grad_down(Room& room, const pp_matrix& x, const pp_lora_module* modules, int32_t count);
pp_status lora_grad_input(Room& room, const pp_lora_module* modules, int32_t count, const pp_matrix& dx, bool accumulate);

}  // namespace prunepeft
