// What a device reaches, measured or assumed of its properties, and how long it takes for what a call does: bytes over copy
// bandwidth, operations over the rate of the unit that does them, and a launch for each kernel. docs/kernels-cuda.md gives the
// argument; cost.h has what each call does.
#pragma once

#include <algorithm>
#include <cstdint>

namespace prunepeft::cuda {
/** Of a device: measured in the same run, or assumed. */
struct Ceilings {
  double copy_bytes;       // a microsecond, read and written
  double library_flops;    // a microsecond, of the library's large product in the type
  double own_flops;        // a microsecond, of our products in the type
  double draws;            // of dropout masks, a microsecond, by the skinny products; each decides eight elements
  double launch;           // microseconds from one small kernel of a stream to the next
  double warpgroup_flops;  // a microsecond, of our fused linear by warpgroups
  double cluster_flops;    // the same in clusters of blocks
  double instructions;     // of warps, a microsecond, that kernels issue
  double cache_bytes;      // of L2
  double clocks;           // of a multiprocessor, a microsecond
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
  double library_bytes = 0;  // moved beside the library's products
  double slot_bytes = 0;     // of partial sums, written by one launch and read by the next
  double instructions = 0;   // of warps
  double clocks = 0;         // of the busiest multiprocessor, in which nothing else is done
  double product_bytes = 0;  // of a product by warpgroups, which moves them while it multiplies
  double again_bytes = 0;    // read again, from memory where what passes in between drives them out of L2:
  double again_span = 0;     // so many bytes, themselves among them
  double left_bytes = 0;     // the same of a product's left operand
  double left_span = 0;

  Cost& operator+=(const Cost& other) {
    bytes += other.bytes;
    own_flops += other.own_flops;
    library_flops += other.library_flops;
    launches += other.launches;
    draws += other.draws;
    warpgroup_flops += other.warpgroup_flops;
    cluster_flops += other.cluster_flops;
    library_bytes += other.library_bytes;
    slot_bytes += other.slot_bytes;
    instructions += other.instructions;
    clocks += other.clocks;
    product_bytes += other.product_bytes;
    again_bytes += other.again_bytes;
    again_span = std::max(again_span, other.again_span);
    left_bytes += other.left_bytes;
    left_span = std::max(left_span, other.left_span);
    return *this;
  }
};

/** What is read again from memory; it is the library's product's, ours by warpgroups, or else the other kernels'. */
inline double bytes_again(const Cost& cost, double cache_bytes) {
  return (cost.again_span > cache_bytes ? cost.again_bytes : 0) + (cost.left_span > cache_bytes ? cost.left_bytes : 0);
}
inline double library_memory_bytes(const Cost& cost, double cache_bytes) {
  return cost.library_flops > 0 ? cost.library_bytes + bytes_again(cost, cache_bytes) : 0;
}

/** Bytes through memory of a product by warpgroups. */
inline double product_memory_bytes(const Cost& cost, double cache_bytes) {
  return cost.product_bytes > 0 ? cost.product_bytes + bytes_again(cost, cache_bytes) : 0;
}

/**
 * Bytes through memory of all else: what has passed through the cache since a slot was written has driven that share of the
 * slots out.
 */
inline double memory_bytes(const Cost& cost, double cache_bytes) {
  const double passed = cost.bytes + cost.slot_bytes;
  const double lost = passed > cache_bytes ? 1 - cache_bytes / passed : 0;
  const bool of_others = cost.product_bytes > 0 || cost.library_flops > 0;
  return passed + lost * cost.slot_bytes + (of_others ? 0 : bytes_again(cost, cache_bytes));
}

/** Microseconds of one call. */
inline double predict(const Ceilings& ceilings, const Cost& cost) {
  const double own =
      std::max({memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes, cost.own_flops / ceilings.own_flops,
                cost.draws / ceilings.draws, cost.instructions / ceilings.instructions});
  const double library = std::max(cost.library_flops / ceilings.library_flops,
                                  library_memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes);
  const double by_warpgroups =
      std::max(product_memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes,
               cost.warpgroup_flops / ceilings.warpgroup_flops + cost.cluster_flops / ceilings.cluster_flops);
  return cost.launches * ceilings.launch + own + library + by_warpgroups + cost.clocks / ceilings.clocks;
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
  return compute_major >= 9 ? 0.48 : 0.85;
}

/**
 * Share of the library's rate that our products by warpgroups are expected to reach: the same instructions, without clusters
 * that share an operand, and with a tile's way out not hidden behind the next tile's products.
 */
constexpr double kWarpgroupShare = 0.74;
/**
 * With clusters, L2 no longer bounds them: a tile's way out is left, some 1 000 clocks of 83 000, and what blocks of a cluster
 * wait for each other.
 */
constexpr double kClusterShare = 0.92;

/** Integer instructions of a draw: ten rounds of Philox, and eight comparisons. */
constexpr double kInstructionsADraw = 55;
/** Integer instructions that a multiprocessor begins in a clock. */
constexpr double kIntegerLanes = 64;

/** Draws a microsecond. */
constexpr double draw_rate(double multiprocessors, double megahertz) {
  return multiprocessors * kIntegerLanes * megahertz / kInstructionsADraw;
}

/**
 * Instructions of warps a microsecond: a multiprocessor's four schedulers each begin one a clock, of which kernels that also
 * wait for memory and barriers are taken to reach three of four.
 */
constexpr double kIssueShare = 0.75;
constexpr double issue_rate(double multiprocessors, double megahertz) {
  constexpr double kSchedulers = 4;
  return multiprocessors * kSchedulers * kIssueShare * megahertz;
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
  int64_t cache_bytes = 0;
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

/**
 * What a device is taken to reach of its properties, before anything was measured on it here. The shares are those of an H100
 * SXM that was measured elsewhere: 798 TFLOPS of cuBLAS in bfloat16 at 8192 x 8192 x 8192, and a copy at 3.0 TB/s.
 */
inline Ceilings assumed_ceilings(const DeviceRates& device, int64_t element_bytes) {
  constexpr double kCopyShare = 3.0 / 3.35, kLibraryShare = 798.0 / 989, kLaunch = 2.5;
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
          by_warpgroups(kClusterShare),
          issue_rate(device.multiprocessors, device.megahertz),
          static_cast<double>(device.cache_bytes),
          device.megahertz};
}
}  // namespace prunepeft::cuda
