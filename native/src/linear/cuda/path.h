// For tests and gpu-check alone: which path the fused linear takes on CUDA, in place of its choice. Not part of the library's
// interface, and exported only so that programs beside it reach it.
#pragma once

#include "prunepeft/device.h"

namespace prunepeft::cuda {
/** Kernels of the fused linear; choice.h says which is taken where. kClustersWithS is kWarpgroupClusters without S, or dS and
 * dB, to make. */
enum class LinearPath { kSmallTile, kLargeTile, kWarpgroup, kWarpgroupClusters, kClustersWithS };

/**
 * No path is forced; or none is, but the choice is between those of sm_80, or between those without clusters, or without
 * products that make S, or codes of a quantised W are decoded before, as they are where a path is forced.
 */
constexpr int kChosenPath = -1, kChosenWithoutWarpgroups = -2, kChosenWithoutClusters = -3, kChosenWithoutCodes = -4,
              kChosenWithoutS = -5;
}  // namespace prunepeft::cuda

extern "C" {
/** From now on every call takes that LinearPath, or fails with PP_DEVICE_ERROR if it cannot; or one of the constants above. */
PP_API void pp_internal_force_linear_path(int path);
PP_API int pp_internal_forced_linear_path(void);
}

namespace prunepeft::cuda {
/** While it lives, pp_internal_force_linear_path(path) holds. */
class ForcedLinearPath {
 public:
  explicit ForcedLinearPath(int path) : before_(pp_internal_forced_linear_path()) { pp_internal_force_linear_path(path); }
  explicit ForcedLinearPath(LinearPath path) : ForcedLinearPath(static_cast<int>(path)) {}
  ~ForcedLinearPath() { pp_internal_force_linear_path(before_); }
  ForcedLinearPath(const ForcedLinearPath&) = delete;

 private:
  int before_;
};
}  // namespace prunepeft::cuda
