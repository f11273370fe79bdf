// The adapter functions of prunepeft/adapter.h on CUDA buffers. Arguments have been checked by the C functions of the same
// names, and matrices have rows.
#pragma once

#include "prunepeft/adapter.h"

namespace prunepeft::cuda {
size_t adapter_forward_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m);
pp_status adapter_forward(const pp_device& device, const pp_matrix& v, const pp_matrix& h, const pp_adapter& adapter,
                          const pp_matrix& z, const pp_matrix& out, void* workspace);

/** What pp_adapter_backward is given. */
struct AdapterBackwardCall {
  const pp_matrix& dout;
  const pp_matrix& v;
  const pp_matrix& z;
  const pp_adapter& adapter;
  const pp_adapter_gradients& gradients;
  const pp_matrix* dv;
};
size_t adapter_backward_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m);
pp_status adapter_backward(const pp_device& device, const AdapterBackwardCall& call, void* workspace);
}  // namespace prunepeft::cuda
