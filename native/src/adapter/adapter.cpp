// The adapter family's door: arguments are checked here, once for all devices, and handed to the device's side.
#include "prunepeft/adapter.h"

#include "adapter/adapter_cpu.h"
#include "adapter/adapter_cuda.h"
#include "core/arguments.h"
#include "cuda/availability.h"

namespace prunepeft {
namespace {

bool runs_on_cpu(const pp_device* device, pp_dtype dtype) {
  return device != nullptr && device->type == PP_CPU && (dtype == PP_FLOAT32 || dtype == PP_BFLOAT16);
}

void check_adapter(Arguments& arguments, const pp_adapter* adapter, int64_t M, int64_t K, int64_t m) {
  arguments.not_null("adapter", adapter);
  if (arguments.failed()) return;
  arguments.leading("adapter->ldd", adapter->ldd, K);
  arguments.leading("adapter->ldu", adapter->ldu, m);
  arguments.activation("adapter->activation", adapter->activation);
  if (M == 0) return;
  arguments.not_null("adapter->down", adapter->down);
  arguments.not_null("adapter->down_bias", adapter->down_bias);
  arguments.not_null("adapter->up", adapter->up);
  arguments.not_null("adapter->up_bias", adapter->up_bias);
}

void check_gradients(Arguments& arguments, const pp_adapter_gradients* gradients, int64_t M, int64_t K, int64_t m) {
  arguments.not_null("gradients", gradients);
  if (arguments.failed()) return;
  arguments.leading("gradients->ldd", gradients->ldd, K);
  arguments.leading("gradients->ldu", gradients->ldu, m);
  if (M == 0) return;
  arguments.not_null("gradients->down", gradients->down);
  arguments.not_null("gradients->down_bias", gradients->down_bias);
  arguments.not_null("gradients->up", gradients->up);
  arguments.not_null("gradients->up_bias", gradients->up_bias);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

size_t pp_adapter_forward_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return M < 1 || K < 1 || m < 1 ? 0 : cuda::adapter_forward_workspace(M, K, m);
  }
  if (!runs_on_cpu(device, dtype) || M < 1 || K < 1 || m < 1) return 0;
  return adapter_forward_cpu_workspace(dtype, M, K, m);
}

pp_status pp_adapter_forward(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* v,
                             int64_t ldv, const void* h, int64_t ldh, const pp_adapter* adapter, void* z, int64_t ldz,
                             void* out, int64_t ldout, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.at_least("m", m, 1);
  arguments.leading("ldv", ldv, K);
  arguments.leading("ldh", ldh, K);
  arguments.leading("ldz", ldz, m);
  arguments.leading("ldout", ldout, K);
  if (M > 0) {
    arguments.not_null("v", v);
    arguments.not_null("h", h);
    arguments.not_null("z", z);
    arguments.not_null("out", out);
    arguments.distinct("out", out, "v", v);
    if (out == h)
      arguments.require(ldout == ldh, "ldout must be ldh = %lld where out is the buffer of h, got %lld",
                        static_cast<long long>(ldh), static_cast<long long>(ldout));
  }
  check_adapter(arguments, adapter, M, K, m);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_adapter_forward_workspace(device, dtype, M, K, m));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::adapter_forward(*device, dtype, M, K, m, v, ldv, h, ldh, *adapter, z, ldz, out, ldout, workspace);
    }
  }
  adapter_cpu(dtype).forward({M, K, m, v, ldv, h, ldh, *adapter, static_cast<float*>(z), ldz, out, ldout, workspace});
  return PP_OK;
}

size_t pp_adapter_backward_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return M < 1 || K < 1 || m < 1 ? 0 : cuda::adapter_backward_workspace(dtype, M, K, m);
  }
  if (!runs_on_cpu(device, dtype) || M < 1 || K < 1 || m < 1) return 0;
  return adapter_backward_cpu_workspace(dtype, M, K, m);
}

pp_status pp_adapter_backward(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* dout,
                              int64_t lddout, const void* v, int64_t ldv, const void* z, int64_t ldz, const pp_adapter* adapter,
                              const pp_adapter_gradients* gradients, int32_t accumulate, void* dv, int64_t lddv,
                              void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.at_least("m", m, 1);
  arguments.leading("lddout", lddout, K);
  arguments.leading("ldv", ldv, K);
  arguments.leading("ldz", ldz, m);
  if (dv != nullptr) arguments.leading("lddv", lddv, K);
  if (M > 0) {
    arguments.not_null("dout", dout);
    arguments.not_null("v", v);
    arguments.not_null("z", z);
    arguments.distinct("dv", dv, "dout", dout);
  }
  check_adapter(arguments, adapter, M, K, m);
  check_gradients(arguments, gradients, M, K, m);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_adapter_backward_workspace(device, dtype, M, K, m));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::adapter_backward(*device, dtype, M, K, m, dout, lddout, v, ldv, z, ldz, *adapter, *gradients,
                                    accumulate != 0, dv, lddv, workspace);
    }
  }
  adapter_cpu(dtype).backward({M, K, m, dout, lddout, v, ldv, static_cast<const float*>(z), ldz, *adapter, *gradients,
                               accumulate != 0, dv, lddv, workspace});
  return PP_OK;
}
