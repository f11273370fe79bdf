// Which path a LoRA linear takes on which device: the one that cost.h predicts to be the faster from the device's properties. A
// device is known by its compute capability and by what it has, never by its name.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "linear/cuda/choice.h"
#include "linear/cuda/cost.h"

namespace prunepeft::cuda {
/** The modules on a linear. */
struct LoraRanks {
  int64_t sum = 0;
  int64_t tiles = 0;  // of 16 ranks, each module's apart
  int64_t first_tile[PP_MOST_MODULES_OF_A_ROW] = {};
  int modules = 0;
  bool whole = true;  // each a multiple of 8

  LoraRanks() = default;
  LoraRanks(std::initializer_list<int64_t> ranks) {
    for (const int64_t rank : ranks) add(rank);
  }
  void add(int64_t rank) {
    first_tile[modules] = tiles;
    sum += rank;
    tiles += tiles_of(rank, kRankTileRanks);
    modules++;
    whole = whole && rank % 8 == 0;
  }
  /** Ends of chunks amid a module. */
  int64_t cuts() const {
    return least_modules_cut(tiles, modules, [&](int i) { return first_tile[i]; });
  }
};

struct LoraShape {
  int64_t M, K, N;
  LoraRanks ranks;
  int64_t element_bytes;
  int masks;               // modules that drop
  bool quantized = false;  // W is: the fused path alone, and no branch
};

struct LinearPaths {
  pp_linear_path forward, backward;
  /** Whether the backward pass reads the masks of the forward pass rather than draws them again. */
  bool keep_masks;
};

/**
 * The kernel that the fused product is taken to go by: as choice.h says of x, W and dY without padding. Where some modules drop
 * and some do not, it is that of the product without modules.
 */
inline LinearPath fused_kernel(const DeviceRates& device, const LoraShape& shape, LinearDirection direction) {
  constexpr int64_t kVector = 8;  // 16-bit elements of 16 bytes
  const bool forward = direction == LinearDirection::kForward;
  const int64_t columns = forward ? shape.N : shape.K, inner = forward ? shape.K : shape.N;
  const bool fuses = shape.masks == 0 || shape.masks == shape.ranks.modules;
  const int modules = fuses ? shape.ranks.modules : 0, masks = fuses ? shape.masks : 0;
  const bool copied = shape.element_bytes == 2 && columns % kVector == 0 && inner % kVector == 0 && modules <= kMostBulkModules;
  const DeviceTraits traits = {device.compute_major, device.multiprocessors, device.shared_bytes_per_block, 0,
                               device.compute_minor};
  // As linear.cpp and linear_cuda.cu have it: S of several modules without dropout, of one with it; dS of one without.
  const bool inside = forward ? masks == 0 || modules == 1 : masks == 0 && modules == 1;
  const int64_t rank_tiles = inside && modules > 0 ? shape.ranks.tiles : 0;
  return choose_linear(traits, {shape.M, columns, inner, shape.element_bytes, copied, direction, true, rank_tiles, masks != 0})
      .path;
}

inline Costs costs_of(const DeviceRates& device, const LoraShape& shape, bool kept) {
  return {static_cast<double>(shape.M),
          static_cast<double>(shape.K),
          static_cast<double>(shape.N),
          static_cast<double>(shape.ranks.sum),
          static_cast<double>(shape.element_bytes),
          shape.masks,
          device.multiprocessors,
          kept,
          shape.ranks.modules,
          static_cast<double>(shape.ranks.tiles),
          1,
          static_cast<double>(device.cache_bytes),
          shape.ranks.whole,
          device.shared_bytes_per_block,
          static_cast<double>(shape.ranks.cuts())};
}

/** The path of a direction that is predicted to be the faster, and its microseconds; of equals fused, which demands less. */
struct PredictedPath {
  pp_linear_path path;
  double microseconds;
};
template <class Predict>
PredictedPath faster_path(const DeviceRates& device, const LoraShape& shape, bool kept, LinearDirection direction,
                          Predict predict_path) {
  const Ceilings ceilings = assumed_ceilings(device, shape.element_bytes);
  const Costs cost = costs_of(device, shape, kept);
  const LinearPath kernel = fused_kernel(device, shape, direction);
  const double split = predict_path(ceilings, cost, PP_SPLIT, kernel), fused = predict_path(ceilings, cost, PP_FUSED, kernel);
  return split < fused && !shape.quantized ? PredictedPath{PP_SPLIT, split} : PredictedPath{PP_FUSED, fused};
}

/**
 * Whether dA on a branch beside dX is predicted to be faster than after it. `kernel` is that of dX where dA comes after, with
 * dS and dB inside or not; a branch needs dS before.
 */
inline bool branch_pays(const Ceilings& ceilings, const Costs& cost, LinearPath kernel) {
  return is_by_warpgroups(kernel) && cost.r > 0 && cost.drops_alike() &&
         predict_branched(ceilings, cost, kernel) < predict_backward(ceilings, cost, PP_FUSED, kernel);
}

/** Microseconds of dX, dA and dB by a path, dA on a branch where that pays. */
inline double predict_best_backward(const Ceilings& ceilings, const Costs& cost, pp_linear_path path, LinearPath kernel) {
  return path == PP_FUSED && branch_pays(ceilings, cost, kernel) ? predict_branched(ceilings, cost, kernel)
                                                                 : predict_backward(ceilings, cost, path, kernel);
}

/** The faster paths, and masks kept where both passes together are the faster for it. Without columns nothing is multiplied. */
inline LinearPaths choose_paths(const DeviceRates& device, const LoraShape& shape) {
  if (shape.K < 1 || shape.N < 1) return {PP_SPLIT, PP_SPLIT, false};
  const auto forward = [&](bool kept) { return faster_path(device, shape, kept, LinearDirection::kForward, predict_forward); };
  const auto backward = [&](bool kept) {
    return faster_path(device, shape, kept, LinearDirection::kGradInput,
                       shape.quantized ? predict_backward : predict_best_backward);
  };
  const auto step = [&](bool kept) { return forward(kept).microseconds + backward(kept).microseconds; };
  const bool keep = step(true) < step(false);
  return {forward(keep).path, backward(keep).path, keep};
}
}  // namespace prunepeft::cuda
