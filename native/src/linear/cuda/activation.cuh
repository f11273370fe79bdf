// Activations of adapters, in float32.
#pragma once

#include "cuda/element.cuh"
#include "prunepeft/adapter.h"

namespace prunepeft::cuda {
GPU_INLINE float activate(pp_activation activation, float z) {
  if (activation == PP_RELU) return z > 0 ? z : z != z ? z : 0.0f;
  if (activation == PP_GELU) return 0.5f * z * (1.0f + erff(z * 0.70710678f));
  if (activation == PP_SILU) return z / (1.0f + expf(-z));
  return z;
}

/** σ'(z). */
GPU_INLINE float activation_slope(pp_activation activation, float z) {
  constexpr float kHalfRoot = 0.70710678f, kDensity = 0.39894228f;  // 1 / √2, 1 / √(2π)
  if (activation == PP_RELU) return z > 0 ? 1.0f : 0.0f;
  if (activation == PP_GELU) return __fmaf_rn(z * kDensity, expf(-0.5f * z * z), 0.5f * (1.0f + erff(z * kHalfRoot)));
  if (activation == PP_SILU) {
    const float logistic = 1.0f / (1.0f + expf(-z));
    return logistic * (1.0f + z * (1.0f - logistic));
  }
  return 1.0f;
}

/** σ of an element as it is stored. */
template <class T>
GPU_INLINE T activated(pp_activation activation, T z) {
  return gpu::from_float<T>(activate(activation, gpu::to_float(z)));
}
}  // namespace prunepeft::cuda
