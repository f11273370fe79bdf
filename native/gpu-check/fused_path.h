// The fused linear's paths on this device: which there are for a shape, and which is chosen.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "device.h"
#include "linear/cuda/choice.h"

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
          read(cudaDevAttrMaxSharedMemoryPerBlockOptin), read(cudaDevAttrL2CacheSize), read(cudaDevAttrComputeCapabilityMinor)};
}

/** A linear [M,K] to [M,N] with a module of r ranks that the product may make S of, or dS and dB (0: not), in a direction, with
 * dropout or without; all operands here lie at 16-byte addresses, without padding. */
inline prunepeft::cuda::LinearShape linear_shape(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r,
                                                 LinearDirection direction, bool dropout) {
  constexpr int64_t kVector = 8;
  const bool forward = direction == LinearDirection::kForward;
  const int64_t columns = forward ? N : K, inner = forward ? K : N;
  const bool whole = columns % kVector == 0 && inner % kVector == 0;
  const auto size = static_cast<int64_t>(pp_dtype_size(dtype));
  const int forced = pp_internal_forced_linear_path();
  const bool admitted = forced != prunepeft::cuda::kChosenWithoutWarpgroups;
  const bool in_clusters = admitted && forced != prunepeft::cuda::kChosenWithoutClusters;
  const bool makes_s = forced != prunepeft::cuda::kChosenWithoutS;
  const int64_t rank_tiles = makes_s ? prunepeft::cuda::tiles_of(r, prunepeft::cuda::kRankTileRanks) : 0;
  return {M, columns, inner, size, whole && size == 2 && admitted, direction, in_clusters, rank_tiles, dropout};
}

/** What a call takes by itself. */
inline LinearPath chosen_path(const prunepeft::cuda::LinearShape& shape) {
  return prunepeft::cuda::choose_linear(device_traits(), shape).path;
}

/** How the table names a path, how it is forced, and what it is. */
struct FusedVariant {
  std::string name;
  int forced;
  LinearPath path;
};

/** What is chosen comes first; with `every`, each path that there is follows. */
inline std::vector<FusedVariant> fused_variants(const prunepeft::cuda::LinearShape& shape, bool every) {
  std::vector<FusedVariant> variants = {{"", pp_internal_forced_linear_path(), chosen_path(shape)}};
  if (!every) return variants;
  const std::pair<const char*, LinearPath> paths[] = {{", small tile", LinearPath::kSmallTile},
                                                      {", large tile", LinearPath::kLargeTile},
                                                      {", warpgroups", LinearPath::kWarpgroup},
                                                      {", clusters", LinearPath::kWarpgroupClusters},
                                                      {", clusters with S", LinearPath::kClustersWithS}};
  for (const auto& [name, path] : paths)
    if (has_path(device_traits(), shape, path)) variants.push_back({name, static_cast<int>(path), path});
  return variants;
}
}  // namespace gpu_check
