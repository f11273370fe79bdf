// The functions of prunepeft/multi_lora.h on CUDA buffers. Arguments have been checked by the C functions of the same names.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "prunepeft/multi_lora.h"

namespace prunepeft::cuda {
/** Adapters and segments of a call are at most as many. */
constexpr int32_t kMostAdapters = 32;

size_t multi_lora_down_workspace(int64_t K, const pp_multi_lora& multi);
pp_status multi_lora_down(const pp_device& device, pp_dtype dtype, int64_t K, const void* x, int64_t ldx,
                          const pp_multi_lora& multi, void* s, int64_t lds, void* workspace);
pp_status multi_lora_up(const pp_device& device, pp_dtype dtype, int64_t N, const pp_multi_lora& multi, const void* s,
                        int64_t lds, void* y, int64_t ldy);
size_t multi_lora_grad_up_workspace(pp_dtype dtype, int64_t N, const pp_multi_lora& multi);
pp_status multi_lora_grad_up(const pp_device& device, pp_dtype dtype, int64_t N, const void* dy, int64_t lddy,
                             const pp_multi_lora& multi, const void* s, int64_t lds, void* ds, int64_t ldds, bool accumulate,
                             void* workspace);
size_t multi_lora_grad_down_workspace(pp_dtype dtype, int64_t K, const pp_multi_lora& multi);
pp_status multi_lora_grad_down(const pp_device& device, pp_dtype dtype, int64_t K, const void* x, int64_t ldx,
                               const pp_multi_lora& multi, const void* ds, int64_t ldds, bool accumulate, void* workspace);
pp_status multi_lora_grad_input(const pp_device& device, pp_dtype dtype, int64_t K, const pp_multi_lora& multi, const void* ds,
                                int64_t ldds, void* dx, int64_t lddx);
}  // namespace prunepeft::cuda
