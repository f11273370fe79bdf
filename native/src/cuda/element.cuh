// Element types: float32, half and bf16 as kernels see them, their conversions, and loads of eight elements.
#pragma once

#include "cuda/ptx.cuh"

namespace prunepeft::gpu {
/** Elements are handled in groups of eight along a row: 16 bytes of a 16-bit type, and one draw of Philox. */
constexpr int kGroup = 8;
constexpr int kVectorBytes = 16;
template <class T>
constexpr int kPerVector = kVectorBytes / static_cast<int>(sizeof(T));

GPU_INLINE float to_float(float v) {
  return v;
}
GPU_INLINE float to_float(__half v) {
  return __half2float(v);
}
GPU_INLINE float to_float(__nv_bfloat16 v) {
  return __bfloat162float(v);
}

template <class T>
GPU_INLINE T from_float(float v);
template <>
GPU_INLINE float from_float<float>(float v) {
  return v;
}
template <>
GPU_INLINE __half from_float<__half>(float v) {
  return __float2half(v);
}
template <>
GPU_INLINE __nv_bfloat16 from_float<__nv_bfloat16>(float v) {
  return __float2bfloat16(v);
}

/** Eight elements, as they are stored, from an address that is a multiple of 16 bytes to another such. */
template <class T>
GPU_INLINE void load_stored_group(const T* p, T (&elements)[kGroup]) {
#pragma unroll
  for (int i = 0; i < kGroup; i += kPerVector<T>)
    *reinterpret_cast<uint4*>(elements + i) = *reinterpret_cast<const uint4*>(p + i);
}

/** Eight elements from an address that is a multiple of 16 bytes. */
template <class T>
GPU_INLINE void load_group(const T* p, float (&v)[kGroup]) {
  alignas(kVectorBytes) T elements[kGroup];
  load_stored_group(p, elements);
#pragma unroll
  for (int i = 0; i < kGroup; i++) v[i] = to_float(elements[i]);
}

/** Eight elements to an address that is a multiple of 16 bytes. */
template <class T>
GPU_INLINE void store_group(T* p, const float (&v)[kGroup]) {
  alignas(kVectorBytes) T elements[kGroup];
#pragma unroll
  for (int i = 0; i < kGroup; i++) elements[i] = from_float<T>(v[i]);
#pragma unroll
  for (int i = 0; i < kGroup; i += kPerVector<T>)
    *reinterpret_cast<uint4*>(p + i) = *reinterpret_cast<const uint4*>(elements + i);
}

/** The same to device memory. */
template <class T>
GPU_INLINE void store_global_group(T* p, const float (&v)[kGroup]) {
  alignas(kVectorBytes) T elements[kGroup];
#pragma unroll
  for (int i = 0; i < kGroup; i++) elements[i] = from_float<T>(v[i]);
#pragma unroll
  for (int i = 0; i < kGroup; i += kPerVector<T>) ptx::store_vector(p + i, *reinterpret_cast<const uint4*>(elements + i));
}

/** Whether an address is a multiple of 16 bytes. */
GPU_INLINE bool is_aligned(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % kVectorBytes == 0;
}

/** The first `count` of eight elements from any address, and zeros for the others. */
template <class T>
GPU_INLINE void load_group(const T* p, int64_t count, float (&v)[kGroup]) {
  if (count >= kGroup && is_aligned(p)) return load_group(p, v);
#pragma unroll
  for (int i = 0; i < kGroup; i++) v[i] = i < count ? to_float(p[i]) : 0.0f;
}

/** The first `count` of eight elements to any address of device memory. */
template <class T>
GPU_INLINE void store_global_group(T* p, int64_t count, const float (&v)[kGroup]) {
  if (count >= kGroup && is_aligned(p)) return store_global_group(p, v);
#pragma unroll
  for (int i = 0; i < kGroup; i++)
    if (i < count) p[i] = from_float<T>(v[i]);
}

/** Whether each row of a matrix starts at a multiple of 16 bytes. */
template <class T>
__host__ __device__ inline bool rows_aligned(const void* p, int64_t leading_dimension) {
  return (reinterpret_cast<uintptr_t>(p) | static_cast<uintptr_t>(leading_dimension) * sizeof(T)) % kVectorBytes == 0;
}

__host__ __device__ constexpr int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}
__host__ __device__ constexpr int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
__host__ __device__ constexpr int64_t round_up(int64_t a, int64_t b) {
  return divide_up(a, b) * b;
}
}  // namespace prunepeft::gpu
