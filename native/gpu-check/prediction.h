// What each call should take on a device whose ceilings are known: bytes over copy bandwidth, operations over the rate of the
// unit that does them, and a launch for each kernel. docs/kernels-cuda.md gives the argument.
//
// A prediction is no measurement. It counts each operand of a call once, takes partial sums in slots to stay in the L2 cache,
// and knows nothing of waves, bank conflicts or clocks; what is measured beside it says how much of the argument holds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace gpu_check {
/** Of a device: measured in the same run, or assumed. */
struct Ceilings {
  double copy_bytes;       // a microsecond, read and written
  double library_flops;    // a microsecond, of the library's large product in the type
  double own_flops;        // a microsecond, of our products in the type
  double draws;            // of dropout masks, a microsecond; each decides eight elements
  double launch;           // microseconds from one small kernel of a stream to the next
  double warpgroup_flops;  // a microsecond, of our fused linear by warpgroups
};

/** What a call does. */
struct Cost {
  double bytes = 0;
  double own_flops = 0;
  double library_flops = 0;
  int launches = 0;
  double draws = 0;
  double warpgroup_flops = 0;

  Cost& operator+=(const Cost& other) {
    bytes += other.bytes;
    own_flops += other.own_flops;
    library_flops += other.library_flops;
    launches += other.launches;
    draws += other.draws;
    warpgroup_flops += other.warpgroup_flops;
    return *this;
  }
};

/** Microseconds of one call. */
inline double predict(const Ceilings& ceilings, const Cost& cost) {
  const double own =
      std::max({cost.bytes / ceilings.copy_bytes, cost.own_flops / ceilings.own_flops, cost.draws / ceilings.draws});
  return cost.launches * ceilings.launch + own + cost.library_flops / ceilings.library_flops +
         cost.warpgroup_flops / ceilings.warpgroup_flops;
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

/** Integer instructions of a draw: ten rounds of Philox, and eight comparisons. */
constexpr double kInstructionsADraw = 100;
/** Integer instructions that a multiprocessor begins in a clock. */
constexpr double kIntegerLanes = 64;

/** Draws a microsecond. */
constexpr double draw_rate(double multiprocessors, double megahertz) {
  return multiprocessors * kIntegerLanes * megahertz / kInstructionsADraw;
}

/** Costs of the calls on a linear [M,K] to [M,N] with rank r; `size` is bytes an element. */
struct Costs {
  double M, K, N, r, size;
  bool dropout = false;

  Cost frozen() const { return {0, 0, 2 * M * K * N, 1}; }
  /** The product whose inner dimension is longer by the rank. */
  Cost bordered_forward() const { return {0, 0, 2 * M * (K + r) * N, 1}; }
  Cost bordered_backward() const { return {0, 0, 2 * M * K * (N + r), 1}; }
  Cost down(bool copies) const {
    return {size * (M * K * (copies ? 2 : 1) + r * K + M * r), 2 * M * K * r * chunks(), 0, splits_down() ? 2 : 1, draws()};
  }
  Cost up() const { return {size * (2 * M * N + (M + N) * r), 2 * M * N * r, 0, 1}; }
  Cost grad_up() const { return {size * (M * N * chunks() + N * r + 2 * M * r) + 4 * N * r, 4 * M * N * r, 0, 3}; }
  Cost grad_down() const { return {size * (M * K * chunks() + M * r) + 4 * K * r, 2 * M * K * r, 0, 2, draws()}; }
  Cost grad_input() const { return {size * (2 * M * K + M * r + r * K), 2 * M * K * r, 0, 1, draws()}; }
  Cost fused_forward(bool warpgroups) const {
    if (!warpgroups) return {size * (M * (K + N) + N * K), 2 * M * K * N + 2 * M * r * (K + N), 0, 2, draws()};
    Cost cost = down(false);  // a launch of its own
    cost.launches++;
    cost.warpgroup_flops = 2 * M * N * (K + multiplied_ranks());
    return cost;
  }
  Cost fused_grad_input(bool warpgroups) const {
    if (!warpgroups) return {size * (M * (K + N) + N * K), 2 * M * K * N + 2 * M * r * K, 0, 1, draws()};
    return {0, 0, 0, 1, 0, 2 * M * K * (N + multiplied_ranks())};  // masks are drawn beside the products
  }
  Cost magnitude() const { return {size * (M + N) * r, 2 * M * N * r, 0, 2}; }
  Cost adapter_forward() const { return {3 * size * M * K, 4 * M * K * r, 0, splits_down() ? 3 : 2}; }
  Cost adapter_backward() const { return {4 * size * M * K * chunks(), 8 * M * K * r, 0, 6}; }

 private:
  double draws() const { return dropout ? M * K / 8 : 0; }
  double multiplied_ranks() const { return static_cast<double>((static_cast<int64_t>(r) + 15) / 16 * 16); }
  /** A block holds 80 ranks; more read the wide matrix again. */
  double chunks() const { return static_cast<double>((static_cast<int64_t>(r) + 79) / 80); }
  bool splits_down() const { return K >= 512 && M <= 64 * 256; }
};
}  // namespace gpu_check
