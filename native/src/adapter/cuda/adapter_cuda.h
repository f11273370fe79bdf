// The adapter functions of prunepeft/adapter.h on CUDA buffers. Arguments have been checked by the C functions of the same
// names, and M is at least 1.
#pragma once

#include "adapter/weights.h"

namespace prunepeft::cuda {
size_t adapter_forward_workspace(int64_t M, int64_t K, int64_t m);
pp_status adapter_forward(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* v, int64_t ldv,
                          const void* h, int64_t ldh, const AdapterWeights& adapter, void* z, int64_t ldz, void* out,
                          int64_t ldout, void* workspace);
size_t adapter_backward_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m);
pp_status adapter_backward(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* dout,
                           int64_t lddout, const void* v, int64_t ldv, const void* z, int64_t ldz,
                           const AdapterWeights& adapter, const AdapterGradients& gradients, bool accumulate, void* dv,
                           int64_t lddv, void* workspace);
}  // namespace prunepeft::cuda
