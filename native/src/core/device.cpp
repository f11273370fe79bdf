#include "prunepeft/device.h"

#include "core/arguments.h"
#include "core/status.h"
#include "cuda/availability.h"

namespace {
pp_status no_cuda_code() {
  return prunepeft::fail(
      PP_NO_DEVICE,
      "no CUDA devices: this build has no CUDA code; PRUNEPEFT_GPU=1 ./prunepeft builds with it, as does Maven "
      "with -Dprunepeft.cuda=ON -Dpytorch.platform=linux-x86_64-gpu, or CMake with -DPRUNEPEFT_CUDA=ON");
}
}  // namespace

pp_status pp_device_count(pp_device_type type, int32_t* count) {
  prunepeft::Arguments arguments;
  const pp_device device{type, 0, nullptr};
  arguments.target(&device, PP_FLOAT32);
  arguments.not_null("count", count);
  if (arguments.failed()) return arguments.status();
  *count = type == PP_CPU ? 1 : 0;
  if constexpr (prunepeft::kCuda) {
    if (type == PP_CUDA) *count = prunepeft::cuda::device_count();
    return PP_OK;
  }
  if (type == PP_CUDA) no_cuda_code();
  return PP_OK;
}

pp_status pp_device_check(const pp_device* device) {
  prunepeft::Arguments arguments;
  arguments.target(device, PP_FLOAT32);
  if (arguments.failed()) return arguments.status();
  if (device->type == PP_CPU) return PP_OK;
  if constexpr (prunepeft::kCuda) return prunepeft::cuda::check_device(*device);
  return no_cuda_code();
}

size_t pp_dtype_size(pp_dtype dtype) {
  switch (dtype) {
    case PP_FLOAT32:
      return 4;
    case PP_FLOAT16:
    case PP_BFLOAT16:
      return 2;
  }
  return 0;
}
