// The fused linear's paths on this device: which there are for a shape, and which is chosen.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "device.h"
#include "linear/choice.h"

namespace gpu_check {
using prunepeft::cuda::LinearDirection;
using prunepeft::cuda::LinearPath;

inline prunepeft::cuda::DeviceTraits device_traits() {
  const auto read = [](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, 0), "cudaDeviceGetAttribute");
    return value;
  };
  return {read(cudaDevAttrComputeCapabilityMajor), read(cudaDevAttrMultiProcessorCount),
          read(cudaDevAttrMaxSharedMemoryPerBlockOptin), read(cudaDevAttrL2CacheSize)};
}

/** A linear [M,K] to [M,N] with rank r, in a direction; all operands here lie at 16-byte addresses, without padding. */
inline prunepeft::cuda::LinearShape linear_shape(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r,
                                                 LinearDirection direction) {
  constexpr int64_t kVector = 8;
  const bool forward = direction == LinearDirection::kForward;
  const int64_t columns = forward ? N : K, inner = forward ? K : N;
  const bool whole = columns % kVector == 0 && inner % kVector == 0 && r % kVector == 0;
  const auto size = static_cast<int64_t>(pp_dtype_size(dtype));
  const bool admitted = pp_internal_forced_linear_path() != prunepeft::cuda::kChosenWithoutWarpgroups;
  return {M, columns, inner, size, whole && size == 2 && admitted, direction};
}

/** Whether the path by warpgroups is what a call takes by itself. */
inline bool chooses_warpgroups(const prunepeft::cuda::LinearShape& shape) {
  return prunepeft::cuda::choose_linear(device_traits(), shape).path == LinearPath::kWarpgroup;
}

/** A path, and how the table names it. */
struct FusedVariant {
  std::string name;
  int path;
  bool warpgroups;
};

/** What is chosen comes first; with `every`, each path that there is follows. */
inline std::vector<FusedVariant> fused_variants(const prunepeft::cuda::LinearShape& shape, bool every) {
  std::vector<FusedVariant> variants = {{"", pp_internal_forced_linear_path(), chooses_warpgroups(shape)}};
  if (!every) return variants;
  variants.push_back({", small tile", static_cast<int>(LinearPath::kSmallTile), false});
  variants.push_back({", large tile", static_cast<int>(LinearPath::kLargeTile), false});
  if (has_warpgroup_path(device_traits(), shape))
    variants.push_back({", warpgroups", static_cast<int>(LinearPath::kWarpgroup), true});
  return variants;
}
}  // namespace gpu_check
