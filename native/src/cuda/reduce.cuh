// Sums and scans in an order that does not depend on timing.
#pragma once

#include "cuda/gpu.cuh"

namespace prunepeft::gpu {
/** Lane 0 gets the sum over the warp. */
template <class T>
GPU_INLINE T warp_sum(T v) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) v += __shfl_down_sync(kFullMask, v, step);
  return v;
}

/** Each lane gets the sum over the lanes up to and including itself. */
template <class T>
GPU_INLINE T warp_running_sum(T v) {
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    const T before = __shfl_up_sync(kFullMask, v, step);
    if (static_cast<int>(threadIdx.x) % kWarp >= step) v += before;
  }
  return v;
}
}  // namespace prunepeft::gpu
