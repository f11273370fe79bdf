// What each call should take on a device whose ceilings are known: bytes over copy bandwidth, operations over the rate of the
// unit that does them, and a launch for each kernel. docs/kernels-cuda.md gives the argument.
//
// A prediction is no measurement. It counts each operand of a call once, takes partial sums in slots to stay in the L2 cache,
// and knows nothing of waves, bank conflicts or clocks; what is measured beside it says how much of the argument holds.
#pragma once

#include <algorithm>
#include <cstdint>

#include "linear/cuda/choice.h"
#include "prunepeft/linear.h"

namespace prunepeft::cuda {
/** Of a device: measured in the same run, or assumed. */
struct Ceilings {
  double copy_bytes;       // a microsecond, read and written
  double library_flops;    // a microsecond, of the library's large product in the type
  double own_flops;        // a microsecond, of our products in the type
  double draws;            // of dropout masks, a microsecond; each decides eight elements
  double launch;           // microseconds from one small kernel of a stream to the next
  double warpgroup_flops;  // a microsecond, of our fused linear by warpgroups
  double cluster_flops;    // the same in clusters of blocks
};

/** What a call does. */
struct Cost {
  double bytes = 0;
  double own_flops = 0;
  double library_flops = 0;
  int launches = 0;
  double draws = 0;
  double warpgroup_flops = 0;
  double cluster_flops = 0;
  double library_bytes = 0;  // moved beside the library's products, where these add to what is there

  Cost& operator+=(const Cost& other) {
    bytes += other.bytes;
    own_flops += other.own_flops;
    library_flops += other.library_flops;
    launches += other.launches;
    draws += other.draws;
    warpgroup_flops += other.warpgroup_flops;
    cluster_flops += other.cluster_flops;
    library_bytes += other.library_bytes;
    return *this;
  }
};

/** Microseconds of one call. */
inline double predict(const Ceilings& ceilings, const Cost& cost) {
  const double own =
      std::max({cost.bytes / ceilings.copy_bytes, cost.own_flops / ceilings.own_flops, cost.draws / ceilings.draws});
  const double library = std::max(cost.library_flops / ceilings.library_flops, cost.library_bytes / ceilings.copy_bytes);
  return cost.launches * ceilings.launch + own + library + cost.warpgroup_flops / ceilings.warpgroup_flops +
         cost.cluster_flops / ceilings.cluster_flops;
}

/** Microseconds of calls one after the other. */
template <class... Costs>
double predict_sequence(const Ceilings& ceilings, const Costs&... costs) {
  return (predict(ceilings, costs) + ... + 0.0);
}

/**
 * Share of the library's rate that our products by mma.sync are expected to reach: the library uses wgmma from compute
 * capability 9.0 on, whose tensor cores take instructions of a single warp at some 0.6 of their rate; before, both use the same
 * instruction.
 */
constexpr double own_share(int compute_major) {
  return compute_major >= 9 ? 0.55 : 0.85;
}

/**
 * Share of the library's rate that our products by warpgroups are expected to reach: the same instructions, without clusters
 * that share an operand, and with a tile's way out not hidden behind the next tile's products.
 */
constexpr double kWarpgroupShare = 0.85;
/** With clusters, L2 no longer bounds them: a tile's way out is left, and what blocks of a cluster wait for each other. */
constexpr double kClusterShare = 0.95;

/** Integer instructions of a draw: ten rounds of Philox, and eight comparisons. */
constexpr double kInstructionsADraw = 100;
/** Integer instructions that a multiprocessor begins in a clock. */
constexpr double kIntegerLanes = 64;

/** Draws a microsecond. */
constexpr double draw_rate(double multiprocessors, double megahertz) {
  return multiprocessors * kIntegerLanes * megahertz / kInstructionsADraw;
}

/** What a device's properties say of its speed; a device has no name here. */
struct DeviceRates {
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  double megahertz = 0;
  /** Bytes a microsecond that the memory bus moves; 0: the driver does not say. */
  double memory_bytes = 0;
  /** Shared memory: most that one block may ask for. */
  int64_t shared_bytes_per_block = 0;
};

/**
 * Operations of a dense product in 16 bits that a multiprocessor does in a clock, two a multiply-add, by the white papers of
 * the architectures. Those that come later are taken for Hopper's.
 */
constexpr double matrix_flops_a_clock(int compute_major, int compute_minor) {
  if (compute_major < 8 || compute_major == 12) return 1024;
  if (compute_major == 8) return compute_minor == 0 ? 2048 : 1024;
  return compute_major == 10 || compute_major == 11 ? 8192 : 4096;
}

/** The same in float32, whose products are multiply-adds of single lanes. */
constexpr double float32_flops_a_clock(int compute_major, int compute_minor) {
  return compute_major == 8 && compute_minor == 0 ? 128 : 256;
}

/** Share of multiply-adds that our products in float32 reach. */
constexpr double kShareOfMultiplyAdds = 0.6;

/** What a device is taken to reach of its properties, before anything was measured on it. */
inline Ceilings assumed_ceilings(const DeviceRates& device, int64_t element_bytes) {
  constexpr double kCopyShare = 0.9, kLibraryShare = 0.7, kLaunch = 2.5;
  constexpr double kBytesAClock =
      12;  // of a multiprocessor, where the driver does not report the bandwidth: A100 and H100 have 14
  const double clocks = device.multiprocessors * device.megahertz;
  const double memory = device.memory_bytes > 0 ? device.memory_bytes : kBytesAClock * clocks;
  const int major = device.compute_major, minor = device.compute_minor;
  const double peak = clocks * (element_bytes == 2 ? matrix_flops_a_clock(major, minor) : float32_flops_a_clock(major, minor));
  const double library = kLibraryShare * peak;
  const double own = element_bytes == 2 ? own_share(major) * library : kShareOfMultiplyAdds * peak;
  const auto by_warpgroups = [&](double share) { return element_bytes == 2 ? share * library : own; };
  return {kCopyShare * memory,
          library,
          own,
          draw_rate(device.multiprocessors, device.megahertz),
          kLaunch,
          by_warpgroups(kWarpgroupShare),
          by_warpgroups(kClusterShare)};
}

/** Costs of the calls on a linear [M,K] to [M,N] with rank r; `size` is bytes an element. */
struct Costs {
  double M, K, N, r, size;
  bool dropout = false;

  Cost frozen() const { return {0, 0, 2 * M * K * N, 1}; }
  /** The product that adds to its result of so many columns, whose read is taken to be hidden as the other operands' is. */
  Cost frozen_adding(double columns) const {
    return {0, 0, 2 * M * K * N, 1, 0, 0, 0, size * (M * (K + N) + N * K + M * columns)};
  }
  Cost down() const { return {size * (M * K + r * K + M * r), 2 * M * K * r * chunks(), 0, splits_down() ? 2 : 1, draws()}; }
  /** y is read too, or overwritten. */
  Cost up(bool adds = true) const { return {size * ((adds ? 2 : 1) * M * N + (M + N) * r), 2 * M * N * r, 0, 1}; }
  Cost grad_up() const { return {size * (M * N * chunks() + N * r + 2 * M * r) + 4 * N * r, 4 * M * N * r, 0, 3}; }
  Cost grad_down() const { return {size * (M * K * chunks() + M * r) + 4 * K * r, 2 * M * K * r, 0, 2, draws()}; }
  Cost grad_input(bool adds = true) const {
    return {size * ((adds ? 2 : 1) * M * K + M * r + r * K), 2 * M * K * r, 0, 1, draws()};
  }
  Cost fused_forward(LinearPath path) const {
    if (!is_by_warpgroups(path)) return {size * (M * (K + N) + N * K), 2 * M * K * N + 2 * M * r * (K + N), 0, 2, draws()};
    Cost cost = down();
    cost.launches = (splits_down() && M > kMostRowsInTwoLaunches ? 2 : 1) + 1;  // those of S come before the product's
    cost += by_warpgroups(path, 2 * M * N * (K + multiplied_ranks()));
    return cost;
  }
  Cost fused_grad_input(LinearPath path) const {
    if (!is_by_warpgroups(path)) return {size * (M * (K + N) + N * K), 2 * M * K * N + 2 * M * r * K, 0, 1, draws()};
    Cost cost = by_warpgroups(path, 2 * M * K * (N + multiplied_ranks()));  // masks are drawn beside the products
    cost.launches = 1;
    return cost;
  }
  /** Our own product without ranks, in either direction. */
  Cost fused_frozen(LinearPath path) const {
    if (!is_by_warpgroups(path)) return {size * (M * (K + N) + N * K), 2 * M * K * N, 0, 1};
    Cost cost = by_warpgroups(path, 2 * M * K * N);
    cost.launches = 1;
    return cost;
  }
  Cost magnitude() const { return {size * (M + N) * r, 2 * M * N * r, 0, 2}; }
  Cost adapter_forward() const { return {3 * size * M * K, 4 * M * K * r, 0, splits_down() ? 3 : 2}; }
  Cost adapter_backward() const { return {4 * size * M * K * chunks(), 8 * M * K * r, 0, 6}; }

 private:
  static Cost by_warpgroups(LinearPath path, double flops) {
    Cost cost;
    (path == LinearPath::kWarpgroupClusters ? cost.cluster_flops : cost.warpgroup_flops) = flops;
    return cost;
  }
  double draws() const { return dropout ? M * K / 8 : 0; }
  double multiplied_ranks() const { return static_cast<double>((static_cast<int64_t>(r) + 15) / 16 * 16); }
  /** A block holds 80 ranks; more read the wide matrix again. */
  double chunks() const { return static_cast<double>((static_cast<int64_t>(r) + 79) / 80); }
  bool splits_down() const { return K >= 512 && M <= 64 * 256; }
};

/**
 * Microseconds of y = x Wᵀ + S Bᵀ by a path, the fused one by the kernel `fused`; without ranks, of the product alone.
 */
inline double predict_forward(const Ceilings& ceilings, const Costs& cost, pp_linear_path path,
                              LinearPath fused = LinearPath::kLargeTile) {
  if (cost.r == 0) return predict(ceilings, path == PP_FUSED ? cost.fused_frozen(fused) : cost.frozen());
  if (path == PP_SPLIT) return predict_sequence(ceilings, cost.frozen(), cost.down(), cost.up());
  return predict(ceilings, cost.fused_forward(fused));
}

/** Microseconds of dX, dA and dB by a path. */
inline double predict_backward(const Ceilings& ceilings, const Costs& cost, pp_linear_path path,
                               LinearPath fused = LinearPath::kLargeTile) {
  if (cost.r == 0) return predict_forward(ceilings, cost, path, fused);
  const Cost input = path == PP_SPLIT ? cost.frozen() : cost.fused_grad_input(fused);
  if (path == PP_SPLIT) return predict_sequence(ceilings, input, cost.grad_up(), cost.grad_input(), cost.grad_down());
  return predict_sequence(ceilings, input, cost.grad_up(), cost.grad_down());
}

/**
 * Microseconds by another order than split's: the ranks' part is written first, and the library's product adds to it. So
 * neither y nor dX is read by a pass of its own. gpu-check measures it; pp_linear_choose_paths doesn't know it.
 */
inline double predict_forward_ranks_first(const Ceilings& ceilings, const Costs& cost) {
  return predict_sequence(ceilings, cost.down(), cost.up(false), cost.frozen_adding(cost.N));
}
inline double predict_backward_ranks_first(const Ceilings& ceilings, const Costs& cost) {
  return predict_sequence(ceilings, cost.grad_up(), cost.grad_input(false), cost.frozen_adding(cost.K), cost.grad_down());
}
}  // namespace prunepeft::cuda
