// The fused linear of prunepeft/linear.h on CUDA buffers. Arguments have been checked by the C functions of the same names, and
// M is at least 1.
#pragma once

#include "linear/branch.h"

namespace prunepeft::cuda {
size_t linear_forward_workspace(const pp_linear& linear, int64_t M, const LoraBranch* branches, int32_t branch_count);
pp_status linear_forward(const pp_device& device, const pp_linear& linear, int64_t M, const void* x, int64_t ldx,
                         const LoraBranch* branches, int32_t branch_count, const DropoutSpec& dropout, void* y, int64_t ldy,
                         void* workspace);
pp_status linear_grad_input(const pp_device& device, const pp_linear& linear, int64_t M, const void* dy, int64_t lddy,
                            const LoraBranch* branches, int32_t branch_count, const DropoutSpec& dropout, void* dx,
                            int64_t lddx);
}  // namespace prunepeft::cuda
