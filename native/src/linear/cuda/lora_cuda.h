// The LoRA functions of prunepeft/lora.h on CUDA buffers. Arguments have been checked by the C functions of the same names, and
// M is at least 1.
#pragma once

#include "linear/branch.h"

namespace prunepeft::cuda {
size_t lora_down_workspace(int64_t M, int64_t K, int64_t ranks);
pp_status lora_down(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                    const LoraBranch* branches, int32_t branch_count, const DropoutSpec& dropout, void* workspace);
pp_status lora_up(const pp_device& device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* s, int64_t lds,
                  const void* b, int64_t ldb, void* y, int64_t ldy, bool accumulate);
size_t lora_grad_up_workspace(pp_dtype dtype, int64_t M, int64_t N, int64_t r);
pp_status lora_grad_up(const pp_device& device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* dy, int64_t lddy,
                       const void* b, int64_t ldb, const void* s, int64_t lds, float scale, void* ds, int64_t ldds, float* db,
                       int64_t lddb, bool accumulate, void* workspace);
size_t lora_grad_down_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t ranks);
pp_status lora_grad_down(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                         const LoraBranch* branches, int32_t branch_count, const DropoutSpec& dropout, bool accumulate,
                         void* workspace);
pp_status lora_grad_input(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, const LoraBranch* branches,
                          int32_t branch_count, const DropoutSpec& dropout, void* dx, int64_t lddx, bool accumulate);
}  // namespace prunepeft::cuda
