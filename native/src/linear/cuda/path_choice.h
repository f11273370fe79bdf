// Which path a LoRA linear takes on which device: the one that cost.h predicts to be the faster from the device's properties. A
// device is known by its compute capability and by what it has, never by its name.
#pragma once

#include <cstdint>

#include "linear/cuda/choice.h"
#include "linear/cuda/cost.h"

namespace prunepeft::cuda {
struct LoraShape {
  int64_t M, K, N, rank;
  int64_t element_bytes;
  bool dropout;
};

struct LinearPaths {
  pp_linear_path forward, backward;
};

/** The kernel that the fused product is taken to go by: as choice.h says of x, W and dY without padding, and of one module. */
inline LinearPath fused_kernel(const DeviceRates& device, const LoraShape& shape, LinearDirection direction) {
  constexpr int64_t kVector = 8;  // 16-bit elements of 16 bytes
  const bool forward = direction == LinearDirection::kForward;
  const int64_t columns = forward ? shape.N : shape.K, inner = forward ? shape.K : shape.N;
  const bool copied = shape.element_bytes == 2 && columns % kVector == 0 && inner % kVector == 0;
  const DeviceTraits traits = {device.compute_major, device.multiprocessors, device.shared_bytes_per_block, 0,
                               device.compute_minor};
  const int64_t rank_tiles = forward && !shape.dropout ? tiles_of(shape.rank, kRankTileRanks) : 0;
  return choose_linear(traits, {shape.M, columns, inner, shape.element_bytes, copied, direction, true, rank_tiles}).path;
}

/** What is predicted to be the faster; of equals fused, which demands less. */
inline LinearPaths choose_paths(const DeviceRates& device, const LoraShape& shape) {
  const Ceilings ceilings = assumed_ceilings(device, shape.element_bytes);
  const Costs cost = {static_cast<double>(shape.M),
                      static_cast<double>(shape.K),
                      static_cast<double>(shape.N),
                      static_cast<double>(shape.rank),
                      static_cast<double>(shape.element_bytes),
                      shape.dropout,
                      device.multiprocessors};
  const auto faster = [&](auto predict_path, LinearDirection direction) {
    const LinearPath fused = fused_kernel(device, shape, direction);
    return predict_path(ceilings, cost, PP_SPLIT, fused) < predict_path(ceilings, cost, PP_FUSED, fused) ? PP_SPLIT : PP_FUSED;
  };
  return {faster(predict_forward, LinearDirection::kForward), faster(predict_backward, LinearDirection::kGradInput)};
}
}  // namespace prunepeft::cuda
