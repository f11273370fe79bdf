// Entry points of prunepeft/adapter.h: arguments are checked here, once for all devices, and handed to the device's side.
#include "prunepeft/adapter.h"

#include "adapter/adapter.h"
#include "adapter/cpu/adapter_cpu.h"
#include "adapter/cuda/adapter_cuda.h"
#include "core/context.h"
#include "cuda/availability.h"

namespace prunepeft {

void check_adapter(Arguments& arguments, const pp_adapter* adapter, pp_dtype dtype, int64_t K, int64_t m) {
  arguments.not_null("adapter", adapter);
  if (arguments.failed()) return;
  arguments.matrix("adapter->down", &adapter->down, dtype, m, K);
  arguments.matrix("adapter->down_bias", &adapter->down_bias, dtype, 1, m);
  arguments.matrix("adapter->up", &adapter->up, dtype, K, m);
  arguments.matrix("adapter->up_bias", &adapter->up_bias, dtype, 1, K);
  arguments.activation("adapter->activation", adapter->activation);
}

namespace {

constexpr auto kAny = Arguments::kAny;

void check_gradients(Arguments& arguments, const pp_adapter_gradients* gradients, int64_t K, int64_t m) {
  arguments.not_null("gradients", gradients);
  if (arguments.failed()) return;
  arguments.matrix("gradients->down", &gradients->down, PP_FLOAT32, m, K);
  arguments.matrix("gradients->down_bias", &gradients->down_bias, PP_FLOAT32, 1, m);
  arguments.matrix("gradients->up", &gradients->up, PP_FLOAT32, K, m);
  arguments.matrix("gradients->up_bias", &gradients->up_bias, PP_FLOAT32, 1, K);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_adapter_forward(const pp_context* context, const pp_matrix* v, const pp_matrix* h, const pp_adapter* adapter,
                             const pp_matrix* z, const pp_matrix* out) {
  Arguments arguments;
  if (!arguments.first(context, "v", v)) return arguments.status();
  const pp_device& device = context->device;
  const pp_dtype dtype = v->dtype, trained = trained_dtype(device, dtype);
  const pp_status supported = check_trainable(&device, dtype);
  if (supported != PP_OK) return supported;
  const int64_t M = v->rows, K = v->cols;
  arguments.matrix("h", h, dtype, M, K);
  arguments.matrix("z", z, trained, M, kAny);
  arguments.matrix("out", out, dtype, M, K);
  if (arguments.failed()) return arguments.status();
  const int64_t m = z->cols;
  check_adapter(arguments, adapter, trained, K, m);
  if (M > 0) {
    arguments.distinct("out", out->data, "v", v->data);
    if (out->data == h->data)
      arguments.require(out->ld == h->ld, "out.ld must be h.ld = %lld where out is the buffer of h, got %lld",
                        static_cast<long long>(h->ld), static_cast<long long>(out->ld));
  }
  if (arguments.failed() || M == 0) return arguments.status();
  void* memory;
  if constexpr (kCuda) {
    if (is_cuda(&device)) {
      const pp_status status = take_workspace(*context, cuda::adapter_forward_workspace(dtype, M, K, m), &memory);
      if (status != PP_OK) return status;
      return cuda::adapter_forward(device, *v, *h, *adapter, *z, *out, memory);
    }
  }
  const pp_status status = take_workspace(*context, adapter_forward_cpu_workspace(dtype, M, K, m), &memory);
  if (status != PP_OK) return status;
  adapter_cpu(dtype).forward(
      {M, K, m, v->data, v->ld, h->data, h->ld, *adapter, static_cast<float*>(z->data), z->ld, out->data, out->ld, memory});
  return PP_OK;
}

pp_status pp_adapter_backward(const pp_context* context, const pp_matrix* dout, const pp_matrix* v, const pp_matrix* z,
                              const pp_adapter* adapter, const pp_adapter_gradients* gradients, const pp_matrix* dv) {
  Arguments arguments;
  if (!arguments.first(context, "dout", dout)) return arguments.status();
  const pp_device& device = context->device;
  const pp_dtype dtype = dout->dtype, trained = trained_dtype(device, dtype);
  const pp_status supported = check_trainable(&device, dtype);
  if (supported != PP_OK) return supported;
  const int64_t M = dout->rows, K = dout->cols;
  arguments.matrix("v", v, dtype, M, K);
  arguments.matrix("z", z, trained, M, kAny);
  if (dv != nullptr) arguments.matrix("dv", dv, dtype, M, K);
  if (arguments.failed()) return arguments.status();
  const int64_t m = z->cols;
  check_adapter(arguments, adapter, trained, K, m);
  check_gradients(arguments, gradients, K, m);
  if (M > 0 && dv != nullptr) arguments.distinct("dv", dv->data, "dout", dout->data);
  if (arguments.failed() || M == 0) return arguments.status();
  void* memory;
  if constexpr (kCuda) {
    if (is_cuda(&device)) {
      const pp_status status = take_workspace(*context, cuda::adapter_backward_workspace(dtype, M, K, m), &memory);
      if (status != PP_OK) return status;
      return cuda::adapter_backward(device, {*dout, *v, *z, *adapter, *gradients, dv}, memory);
    }
  }
  const pp_status status = take_workspace(*context, adapter_backward_cpu_workspace(dtype, M, K, m), &memory);
  if (status != PP_OK) return status;
  void* const to = dv == nullptr ? nullptr : dv->data;
  const int64_t ld_to = dv == nullptr ? 0 : dv->ld;
  adapter_cpu(dtype).backward({M, K, m, dout->data, dout->ld, v->data, v->ld, static_cast<const float*>(z->data), z->ld,
                               *adapter, *gradients, to, ld_to, memory});
  return PP_OK;
}
