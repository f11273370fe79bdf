// The door of prunepeft/lora_path.h: arguments are checked here, once for all devices. SPDX-License-Identifier: Apache-2.0
#include "prunepeft/lora_path.h"

#include "core/arguments.h"
#include "cuda/availability.h"
#include "lora_path/lora_path_cuda.h"

using namespace prunepeft;

pp_status pp_lora_choose_paths(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r,
                               int32_t dropout, pp_lora_path* forward, pp_lora_path* backward) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.at_least("N", N, 1);
  arguments.at_least("r", r, 1);
  arguments.not_null("forward", forward);
  arguments.not_null("backward", backward);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK) return supported;
  cuda::LoraPaths paths = {PP_LORA_FUSED, PP_LORA_FUSED};
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      const cuda::LoraShape shape = {M, K, N, r, static_cast<int64_t>(pp_dtype_size(dtype)), dropout != 0};
      const pp_status status = cuda::choose_lora_paths(*device, shape, &paths);
      if (status != PP_OK) return status;
    }
  }
  *forward = paths.forward;
  *backward = paths.backward;
  return PP_OK;
}
