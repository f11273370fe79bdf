// Which path a LoRA linear takes on which device.
//
// The rule: what was measured decides (the first row of kMeasuredPaths that covers the case), and where nothing was, the path
// that cost.h predicts to be the fastest from the device's properties. A device is known by its compute capability and by what
// it has, never by its name.
//
// Origin of the rows: gpu-check's table, whose over-the-frozen-linear column compares the paths of one run; a row names that
// run. NO DEVICE HAS BEEN MEASURED YET, so there is no row. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "linear/choice.h"
#include "lora_path/cost.h"

namespace prunepeft::cuda {
struct LoraShape {
  int64_t M, K, N, rank;
  int64_t element_bytes;
  bool dropout;
};

struct LoraPaths {
  pp_lora_path forward, backward;
};

/** One measured answer. Under dropout bordered is none for the backward pass. */
struct MeasuredPaths {
  int compute_major, compute_minor;
  int64_t element_bytes;
  bool dropout;
  /** It covers shapes up to these. */
  int64_t most_rows, most_inputs, most_outputs, most_rank;
  LoraPaths paths;
  const char* origin;  // the run that it comes from

  bool covers(const DeviceRates& device, const LoraShape& shape) const {
    return compute_major == device.compute_major && compute_minor == device.compute_minor &&
           element_bytes == shape.element_bytes && dropout == shape.dropout &&
           !(dropout && paths.backward == PP_LORA_BORDERED) && shape.M <= most_rows && shape.K <= most_inputs &&
           shape.N <= most_outputs && shape.rank <= most_rank;
  }
};
constexpr std::array<MeasuredPaths, 0> kMeasuredPaths = {};

constexpr unsigned path_bit(pp_lora_path path) {
  return 1u << path;
}
constexpr unsigned kAllPaths = path_bit(PP_LORA_SPLIT) | path_bit(PP_LORA_BORDERED) | path_bit(PP_LORA_FUSED);

/** The kernel that the fused product is taken to go by: as linear/choice.h says of operands without padding. */
inline LinearPath fused_kernel(const DeviceRates& device, const LoraShape& shape, LinearDirection direction) {
  constexpr int64_t kVector = 8;  // 16-bit elements of 16 bytes
  const bool forward = direction == LinearDirection::kForward;
  const int64_t columns = forward ? shape.N : shape.K, inner = forward ? shape.K : shape.N;
  const bool copied = shape.element_bytes == 2 && columns % kVector == 0 && inner % kVector == 0 && shape.rank % kVector == 0;
  const DeviceTraits traits = {device.compute_major, device.multiprocessors, device.shared_bytes_per_block, 0,
                               device.compute_minor};
  return choose_linear(traits, {shape.M, columns, inner, shape.element_bytes, copied, direction}).path;
}

/**
 * What is predicted to be the fastest of the possible paths, split or fused among them; of equals, the first of fused, split
 * and bordered: the fewer demands.
 */
inline LoraPaths default_paths(const DeviceRates& device, const LoraShape& shape, unsigned possible) {
  const Ceilings ceilings = assumed_ceilings(device, shape.element_bytes);
  const Costs cost = {static_cast<double>(shape.M),
                      static_cast<double>(shape.K),
                      static_cast<double>(shape.N),
                      static_cast<double>(shape.rank),
                      static_cast<double>(shape.element_bytes),
                      shape.dropout};
  const auto fastest = [&](auto predict_path, LinearPath fused) {
    pp_lora_path best = (possible & path_bit(PP_LORA_FUSED)) != 0 ? PP_LORA_FUSED : PP_LORA_SPLIT;
    for (pp_lora_path path : {PP_LORA_SPLIT, PP_LORA_BORDERED})
      if ((possible & path_bit(path)) != 0 &&
          predict_path(ceilings, cost, path, fused) < predict_path(ceilings, cost, best, fused))
        best = path;
    return best;
  };
  return {fastest(predict_forward, fused_kernel(device, shape, LinearDirection::kForward)),
          fastest(predict_backward, fused_kernel(device, shape, LinearDirection::kGradInput))};
}

/** `measured` has `count` rows. */
inline LoraPaths choose_paths(const DeviceRates& device, const LoraShape& shape, unsigned possible,
                              const MeasuredPaths* measured, size_t count) {
  const MeasuredPaths* const end = measured + count;
  const MeasuredPaths* const row = std::find_if(measured, end, [&](const MeasuredPaths& candidate) {
    const unsigned needed = path_bit(candidate.paths.forward) | path_bit(candidate.paths.backward);
    return candidate.covers(device, shape) && (needed & ~possible) == 0;
  });
  return row != end ? row->paths : default_paths(device, shape, possible);
}

inline LoraPaths choose_paths(const DeviceRates& device, const LoraShape& shape, unsigned possible) {
  return choose_paths(device, shape, possible, kMeasuredPaths.data(), kMeasuredPaths.size());
}
}  // namespace prunepeft::cuda
