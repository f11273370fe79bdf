// For tests and gpu-check alone: which path the fused linear takes on CUDA, in place of its choice. Not part of the library's
// interface, and exported only so that programs beside it reach it.
// SPDX-License-Identifier: Apache-2.0
#ifndef PRUNEPEFT_LINEAR_PATH_H
#define PRUNEPEFT_LINEAR_PATH_H

#include "prunepeft/device.h"

namespace prunepeft::cuda {
/** Kernels of the fused linear; choice.h says which is taken where. */
enum class LinearPath { kSmallTile, kLargeTile, kWarpgroup };

/** No path is forced. */
constexpr int kChosenPath = -1;
}  // namespace prunepeft::cuda

extern "C" {
/** From now on every call takes that LinearPath, or fails with PP_DEVICE_ERROR if it cannot; kChosenPath ends it. */
PP_API void pp_internal_force_linear_path(int path);
int pp_internal_forced_linear_path(void);
}

namespace prunepeft::cuda {
/** While it lives, a path is forced; with kChosenPath, none. */
class ForcedLinearPath {
 public:
  explicit ForcedLinearPath(int path) { pp_internal_force_linear_path(path); }
  explicit ForcedLinearPath(LinearPath path) : ForcedLinearPath(static_cast<int>(path)) {}
  ~ForcedLinearPath() { pp_internal_force_linear_path(kChosenPath); }
  ForcedLinearPath(const ForcedLinearPath&) = delete;
};
}  // namespace prunepeft::cuda

#endif
