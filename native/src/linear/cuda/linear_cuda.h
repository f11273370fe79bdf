// The fused linear of prunepeft/linear.h on CUDA buffers. Arguments have been checked by the C functions of the same names, and
// matrices have rows. Modules drop alike.
#pragma once

#include "linear/lora_module.h"

namespace prunepeft::cuda {
size_t linear_forward_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t count);
pp_status linear_forward(const pp_device& device, const pp_linear& linear, const pp_matrix& x, const LoraModule* modules,
                         int32_t count, const pp_matrix& y, void* workspace);
size_t linear_grad_input_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t count);
pp_status linear_grad_input(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const LoraModule* modules,
                            int32_t count, const pp_matrix& dx, void* workspace, bool leaves_room = false);

/**
 * Whether dA is better made on a branch beside dX, which is ready then: modules are on all rows, and drop alike. A path that a
 * test has forced is taken so where it goes by warpgroups and makes no dS.
 */
pp_status linear_takes_branch(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const LoraModule* modules,
                              int32_t count, const pp_matrix& dx, bool* takes);
/** dX, and dA on a branch beside it, once there is dS, which is the modules' s. */
size_t linear_grad_input_and_down_workspace(const pp_linear& linear, const pp_matrix& x, const LoraModule* modules,
                                            int32_t count);
pp_status linear_grad_input_and_down(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const pp_matrix& x,
                                     const LoraModule* modules, int32_t count, const pp_matrix& dx, void* workspace);

/**
 * dX, and dS and dB of one module on all rows, if one launch makes them: `*made` says. The module's s is S. Without a workspace
 * (0 bytes) it never does, and is not called.
 */
size_t linear_backward_workspace(const pp_linear& linear, const pp_matrix& dy, const LoraModule& module, const pp_matrix& dx);
pp_status linear_backward(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const LoraModule& module,
                          const pp_matrix& dx, void* workspace, bool* made);
}  // namespace prunepeft::cuda
