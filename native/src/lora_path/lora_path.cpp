// The door of prunepeft/lora_path.h: arguments are checked here, once for all devices. SPDX-License-Identifier: Apache-2.0
#include "prunepeft/lora_path.h"

#include <map>
#include <mutex>

#include "core/arguments.h"
#include "cuda/availability.h"
#include "lora_path/lora_path_cuda.h"

namespace prunepeft {
namespace {
/** Of a CUDA device, asked for once. */
pp_status known_rates(int32_t device_index, cuda::DeviceRates* rates) {
  static std::mutex mutex;
  static std::map<int32_t, cuda::DeviceRates> known;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = known.find(device_index);
  if (found != known.end()) {
    *rates = found->second;
    return PP_OK;
  }
  pp_status status = PP_NO_DEVICE;
  if constexpr (kCuda) status = cuda::read_rates(device_index, rates);
  if (status == PP_OK) known[device_index] = *rates;
  return status;
}

bool has(int32_t possible, pp_lora_path path) {
  return (static_cast<unsigned>(possible) & cuda::path_bit(path)) != 0;
}
}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_lora_choose_paths(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r,
                               int32_t dropout, int32_t possible, pp_lora_path* forward, pp_lora_path* backward) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.at_least("N", N, 1);
  arguments.at_least("r", r, 0);
  arguments.require(possible >= 0 && possible <= static_cast<int32_t>(cuda::kAllPaths) &&
                        (has(possible, PP_LORA_SPLIT) || has(possible, PP_LORA_FUSED)),
                    "possible must be a sum of 1 << path with split or fused among them, got %d", possible);
  arguments.not_null("forward", forward);
  arguments.not_null("backward", backward);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK) return supported;
  const pp_lora_path own = has(possible, PP_LORA_FUSED) ? PP_LORA_FUSED : PP_LORA_SPLIT;
  cuda::LoraPaths paths = {own, own};
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      cuda::DeviceRates rates;
      const pp_status status = known_rates(device->index, &rates);
      if (status != PP_OK) return status;
      const cuda::LoraShape shape = {M, K, N, r, static_cast<int64_t>(pp_dtype_size(dtype)), dropout != 0};
      paths = cuda::choose_paths(rates, shape, static_cast<unsigned>(possible));
    }
  }
  *forward = paths.forward;
  *backward = paths.backward;
  return PP_OK;
}
