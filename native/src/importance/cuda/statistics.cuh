// Importance: all statistics of all modules in one launch. Per weight and gradient: Σw², Σ|w|, #[w ≠ 0], #[|w| < t], Σg², Σ|g|,
// Σw·g, Σ|w·g|, Σ(w·g)², in float64.
//
// Tiling: a block takes one item of the plan's table (8192 elements of one segment), so that modules of any size fill all
// multiprocessors; a thread takes groups of eight elements, 16-byte loads where the segment is aligned. Each block leaves its
// sums in a slot and takes an integer ticket of its module; the last block adds the module's slots in a fixed order, so results
// do not depend on which block is last, and gives the tickets back, so that no fill is launched before.
//
// Limit: the bytes of w and g over memory bandwidth; where float64 is slow (sm_86, sm_89: 1/64 of float32), its arithmetic.
#pragma once

#include "cuda/element.cuh"
#include "cuda/ptx.cuh"
#include "cuda/reduce.cuh"
#include "importance/cuda/plan_cuda.h"

namespace prunepeft::cuda {
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / gpu::kWarp;
/** All but PP_COUNT, which the plan knows. */
constexpr int kSums = PP_STATISTICS - 1;
static_assert(PP_COUNT == 0 && PP_SUM_W2 == 1 && PP_NONZERO == 3 && PP_SUM_G2 == 5 && PP_SUM_WG2 == PP_STATISTICS - 1,
              "sum i is statistic i + 1");

/** What a weight is compared with. */
struct Limits {
  float zero;   // largest |w| that counts as zero
  float below;  // PP_BELOW's threshold
};

struct Sums {
  double w2, abs_w, g2, abs_g, wg, abs_wg, wg2;
  unsigned nonzero, below;
};

GPU_INLINE void accumulate(Sums& sums, float w, float g, Limits limits) {
  // Absolute values are taken in float64: a conversion takes four times an addition's time there.
  const double wide_w = w, wide_g = g, product = wide_w * wide_g;
  sums.w2 += wide_w * wide_w;
  sums.abs_w += fabs(wide_w);
  sums.nonzero += fabsf(w) <= limits.zero ? 0 : 1;
  sums.below += fabsf(w) < limits.below ? 1 : 0;
  sums.g2 += wide_g * wide_g;
  sums.abs_g += fabs(wide_g);
  sums.wg += product;
  sums.abs_wg += fabs(product);
  sums.wg2 += product * product;
}

template <class T>
GPU_INLINE void accumulate_item(Sums& sums, const ImportanceItem& item, Limits limits) {
  const T* w = static_cast<const T*>(item.w);
  const T* g = static_cast<const T*>(item.g);
  const int thread = static_cast<int>(threadIdx.x);
  const int n = static_cast<int>(item.n);
  const bool aligned = gpu::rows_aligned<T>(w, 0) && gpu::rows_aligned<T>(g, 0);
  const int vector_end = aligned ? n / gpu::kGroup * gpu::kGroup : 0;
#pragma unroll 2
  for (int i = thread * gpu::kGroup; i < vector_end; i += kThreads * gpu::kGroup) {
    float wv[gpu::kGroup], gv[gpu::kGroup] = {};
    gpu::load_group(w + i, wv);
    if (g != nullptr) gpu::load_group(g + i, gv);
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++) accumulate(sums, wv[k], gv[k], limits);
  }
#pragma unroll 1
  for (int i = vector_end + thread; i < n; i += kThreads)
    accumulate(sums, gpu::to_float(w[i]), g != nullptr ? gpu::to_float(g[i]) : 0.0f, limits);
}

/** Modules without weights, of which no block knows: block 0 writes their rows. */
GPU_INLINE void clear_empty_modules(const Module* modules, int count, double* table) {
  if (blockIdx.x != 0) return;
  for (int m = static_cast<int>(threadIdx.x); m < count; m += kThreads)
    if (modules[m].items == 0)
      for (int s = 0; s < PP_STATISTICS; s++) table[static_cast<int64_t>(m) * PP_STATISTICS + s] = 0;
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(kThreads)
    statistics(const ImportanceItem* __restrict__ items, const Module* __restrict__ modules, int module_count,
               const float* __restrict__ thresholds, float zero_limit, double* slots, unsigned* tickets, double* table) {
  GPU_SHARED(double[kSums][kWarps], warp_sums);
  GPU_SHARED(bool, is_last);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / gpu::kWarp, lane = thread % gpu::kWarp;
  clear_empty_modules(modules, module_count, table);
  Sums own = {};
  {
    const ImportanceItem item = items[blockIdx.x];
    accumulate_item<T>(own, item, {zero_limit, thresholds != nullptr ? thresholds[item.group] : 0.0f});
  }
  const double sums[kSums] = {
      own.w2,     own.abs_w, static_cast<double>(own.nonzero), static_cast<double>(own.below), own.g2, own.abs_g, own.wg,
      own.abs_wg, own.wg2};
#pragma unroll
  for (int s = 0; s < kSums; s++) {
    const double sum = gpu::warp_sum(sums[s]);
    if (lane == 0) warp_sums[s][warp] = sum;
  }
  __syncthreads();
  if (thread < kSums) {
    double sum = 0;
    for (int i = 0; i < kWarps; i++) sum += warp_sums[thread][i];
    slots[static_cast<int64_t>(blockIdx.x) * kSums + thread] = sum;
  }
  __syncthreads();
  const int module_index = items[blockIdx.x].module;  // read late: held through the loop it would cost registers
  const Module module = modules[module_index];
  if (thread == 0) {
    ptx::fence_release();  // the block's slot before its ticket
    is_last = atomicAdd(tickets + module_index, 1u) == static_cast<unsigned>(module.items - 1);
  }
  __syncthreads();
  if (!is_last) return;
  ptx::load_acquire(tickets + module_index);  // the tickets before the others' slots, for each thread that reads them
  __syncthreads();
  if (thread == 0) {
    tickets[module_index] = 0;  // for the next call
    table[static_cast<int64_t>(module_index) * PP_STATISTICS + PP_COUNT] = static_cast<double>(module.weights);
  }
  for (int s = warp; s < kSums; s += kWarps) {
    double sum = 0;
    for (int64_t i = lane; i < module.items; i += gpu::kWarp) sum += slots[(module.first_item + i) * kSums + s];
    sum = gpu::warp_sum(sum);
    if (lane == 0) table[static_cast<int64_t>(module_index) * PP_STATISTICS + s + 1] = sum;
  }
}
}  // namespace prunepeft::cuda
