// Entry point: pp_linear_choose_paths.
#include "prunepeft/linear.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "core/arguments.h"
#include "cuda/availability.h"
#include "linear/cuda/rates.h"

using namespace prunepeft;

pp_status pp_linear_choose_paths(const pp_device* device, const pp_linear_shape* shape, pp_linear_path* forward,
                                 pp_linear_path* backward, int32_t* keep_masks) {
  Arguments arguments;
  arguments.not_null("shape", shape);
  if (arguments.failed()) return arguments.status();
  arguments.target(device, shape->dtype);
  arguments.at_least("shape->M", shape->M, 0);
  arguments.at_least("shape->K", shape->K, 1);
  arguments.at_least("shape->N", shape->N, 1);
  const int64_t largest = std::max({shape->M, shape->K, shape->N});
  for (const auto& [rows, columns] : {std::pair(shape->M, shape->K), {shape->N, shape->K}, {shape->M, shape->N}}) {
    int64_t elements;
    arguments.require(!__builtin_mul_overflow(rows, columns, &elements) && elements <= kMostBytes,
                      "a matrix of %" PRId64 " x %" PRId64 " has more bytes than memory", rows, columns);
  }
  arguments.at_least("shape->modules", shape->modules, 0);
  arguments.at_most("shape->modules", shape->modules, PP_MOST_MODULES_OF_A_ROW);
  if (shape->modules > 0) arguments.not_null("shape->ranks", shape->ranks);
  for (int32_t i = 0; i < shape->modules && !arguments.failed(); ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "shape->ranks[%d]", static_cast<int>(i));
    arguments.at_least(name, shape->ranks[i], 1);
    arguments.at_most(name, shape->ranks[i], kMostBytes / std::max<int64_t>(1, largest));
  }
  arguments.at_least("shape->masks", shape->masks, 0);
  arguments.at_most("shape->masks", shape->masks, shape->modules);
  arguments.require(shape->quantized == 0 || shape->quantized == 1, "shape->quantized must be 0 or 1, got %d",
                    static_cast<int>(shape->quantized));
  arguments.not_null("forward", forward);
  arguments.not_null("backward", backward);
  arguments.not_null("keep_masks", keep_masks);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, shape->dtype);
  if (supported != PP_OK) return supported;
  cuda::LinearPaths paths = {PP_FUSED, PP_FUSED, false};
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      cuda::DeviceRates rates;
      const pp_status status = cuda::read_rates(device->index, &rates);
      if (status != PP_OK) return status;
      cuda::LoraRanks ranks;
      for (int32_t i = 0; i < shape->modules; ++i) ranks.add(shape->ranks[i]);
      paths = cuda::choose_paths(rates, {shape->M, shape->K, shape->N, ranks, static_cast<int64_t>(pp_dtype_size(shape->dtype)),
                                         shape->masks, shape->quantized != 0});
    }
  }
  *forward = paths.forward;
  *backward = paths.backward;
  *keep_masks = paths.keep_masks ? 1 : 0;
  return PP_OK;
}
