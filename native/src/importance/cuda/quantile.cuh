// Quantile of |w|, exactly, over each group of a plan: radix selection on the bits of |w| as float32, whose order is that of
// the values (NaN last). A histogram launch counts, within the weights that share the digits found so far, the next digit; a
// selection launch finds the digit that holds the wanted rank. Three rounds settle 31 bits; 16-bit types have no bits left
// after two.
//
// Tiling: histogram, a block an item of the plan's table, counted in shared memory and then added to the group's histogram by
// integer atomics, whose order does not matter; selection, a block a group, as what begins it.
//
// Limit: the bytes of w over memory bandwidth, once a round; equal weights (an untrained B is all zero) make the shared atomics
// of a warp queue up.
#pragma once

#include "cuda/element.cuh"
#include "cuda/reduce.cuh"
#include "importance/cuda/plan_cuda.h"

namespace prunepeft::cuda {
constexpr int kQuantileThreads = 256;
constexpr int kBins = 2048;
constexpr int kBinsPerThread = kBins / kQuantileThreads;
static_assert(kBinsPerThread * kQuantileThreads == kBins, "threads share the bins evenly");

/** A digit is `width` bits of |w| from bit `shift` on. */
struct Digit {
  int shift;
  int width;
};
constexpr Digit kDigits[] = {{20, 11}, {10, 10}, {0, 10}};
constexpr int kMostDigits = 3;
static_assert(kBins == 1 << 11, "one bin for each value of the widest digit");

/** What is known of a group's quantile: its leading digits, and its rank among the weights that share them. */
struct Selection {
  unsigned long long rank;
  unsigned prefix;
};

GPU_INLINE unsigned magnitude_bits(float w) {
  return __float_as_uint(w) & 0x7fffffffu;
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(kQuantileThreads)
    histogram(const ImportanceItem* __restrict__ items, const Selection* __restrict__ selections, Digit digit,
              unsigned long long* histograms) {
  GPU_SHARED(unsigned[kBins], counts);
  const int thread = static_cast<int>(threadIdx.x);
  for (int bin = thread; bin < kBins; bin += kQuantileThreads) counts[bin] = 0;
  __syncthreads();
  const ImportanceItem item = items[blockIdx.x];
  const T* w = static_cast<const T*>(item.w);
  const unsigned prefix = selections[item.group].prefix, mask = (1u << digit.width) - 1;
  const auto count = [&](float weight) {
    const unsigned leading = magnitude_bits(weight) >> digit.shift;
    if (leading >> digit.width == prefix) atomicAdd(&counts[leading & mask], 1u);
  };
  const int n = static_cast<int>(item.n);
  const int vector_end = gpu::rows_aligned<T>(w, 0) ? n / gpu::kGroup * gpu::kGroup : 0;
  for (int i = thread * gpu::kGroup; i < vector_end; i += kQuantileThreads * gpu::kGroup) {
    float v[gpu::kGroup];
    gpu::load_group(w + i, v);
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++) count(v[k]);
  }
  for (int i = vector_end + thread; i < n; i += kQuantileThreads) count(gpu::to_float(w[i]));
  __syncthreads();
  unsigned long long* group_counts = histograms + static_cast<int64_t>(item.group) * kBins;
  for (int bin = thread; bin < kBins; bin += kQuantileThreads)
    if (counts[bin] != 0) atomicAdd(group_counts + bin, static_cast<unsigned long long>(counts[bin]));
}

/** Sets a group's rank floor(q (n - 1)), its histogram to 0, and its threshold to 0 in case it has no weights. */
static __global__ void __launch_bounds__(kQuantileThreads)
    start_selection(const int64_t* __restrict__ group_weights, double q, unsigned long long* histograms, Selection* selections,
                    float* thresholds) {
  const int group = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  for (int bin = thread; bin < kBins; bin += kQuantileThreads) histograms[static_cast<int64_t>(group) * kBins + bin] = 0;
  if (thread != 0) return;
  const int64_t weights = group_weights[group];
  selections[group].rank = weights > 0 ? static_cast<unsigned long long>(q * static_cast<double>(weights - 1)) : 0ull;
  selections[group].prefix = 0;
  thresholds[group] = 0;
}

/** Finds the bin that holds the rank, goes down into it, and clears the histogram for the next round. */
static __global__ void __launch_bounds__(kQuantileThreads)
    select_digit(Digit digit, unsigned long long* histograms, Selection* selections, float* thresholds) {
  constexpr int kWarps = kQuantileThreads / gpu::kWarp;
  GPU_SHARED(unsigned long long[kWarps], warp_totals);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / gpu::kWarp, lane = thread % gpu::kWarp;
  const Selection selection = selections[blockIdx.x];
  unsigned long long* bins = histograms + static_cast<int64_t>(blockIdx.x) * kBins + thread * kBinsPerThread;
  unsigned long long counts[kBinsPerThread], total = 0;
#pragma unroll
  for (int i = 0; i < kBinsPerThread; i++) {
    counts[i] = bins[i];
    total += counts[i];
    bins[i] = 0;
  }
  const unsigned long long running = gpu::warp_running_sum(total);
  if (lane == gpu::kWarp - 1) warp_totals[warp] = running;
  __syncthreads();
  unsigned long long below = running - total;  // weights in the bins before this thread's
  for (int i = 0; i < warp; i++) below += warp_totals[i];
  if (selection.rank < below || selection.rank >= below + total) return;
#pragma unroll
  for (int i = 0; i < kBinsPerThread; i++) {
    if (selection.rank >= below && selection.rank < below + counts[i]) {
      const unsigned prefix = selection.prefix << digit.width | static_cast<unsigned>(thread * kBinsPerThread + i);
      selections[blockIdx.x].rank = selection.rank - below;
      selections[blockIdx.x].prefix = prefix;
      thresholds[blockIdx.x] = __uint_as_float(prefix << digit.shift);
    }
    below += counts[i];
  }
}
}  // namespace prunepeft::cuda
