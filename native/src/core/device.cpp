#include "prunepeft/device.h"

#include "core/arguments.h"
#include "core/status.h"
#include "cuda/availability.h"

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
  if (type == PP_CUDA) prunepeft::fail(PP_NO_DEVICE, "no CUDA devices: this build has no CUDA code");
  return PP_OK;
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
