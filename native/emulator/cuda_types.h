// The CUDA vector, 16-bit and runtime types that kernels and launchers use, for the host compiler. The emulator never includes
// a toolkit header, so it behaves the same on a machine with CUDA and on one without. Layouts, alignments and roundings are
// CUDA's: conversions go to nearest, ties to even.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) {
  return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
  return {x, y};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}

namespace simt {
template <class To, class From>
To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "bit_cast needs equal sizes");
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

inline uint16_t bfloat16_bits(float f) {
  const uint32_t u = bit_cast<uint32_t>(f);
  if (f != f) return 0x7fff;
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

inline float bfloat16_value(uint16_t bits) {
  return bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t half_bits(float f) {
  constexpr uint32_t kInfinity = 0x7f800000, kFirstOverflow = 0x477ff000, kFirstNormal = 0x38800000, kRebias = 0x38000000;
  constexpr float kSubnormalScale = 16777216.0f;  // 2^24: a half's smallest subnormal becomes 1
  const uint32_t u = bit_cast<uint32_t>(f), sign = (u >> 16) & 0x8000, magnitude = u & 0x7fffffff;
  if (magnitude > kInfinity) return 0x7fff;
  if (magnitude >= kFirstOverflow) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude >= kFirstNormal)
    return static_cast<uint16_t>(sign | ((magnitude - kRebias + 0xfff + ((magnitude >> 13) & 1)) >> 13));
  return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyintf(bit_cast<float>(magnitude) * kSubnormalScale)));
}

inline float half_value(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  if (exponent == 31) return bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
  return sign != 0 ? -magnitude : magnitude;
}
}  // namespace simt

struct alignas(2) __nv_bfloat16 {
  uint16_t x;
};
struct alignas(2) __half {
  uint16_t x;
};
inline __nv_bfloat16 __float2bfloat16(float f) {
  return {simt::bfloat16_bits(f)};
}
inline float __bfloat162float(__nv_bfloat16 v) {
  return simt::bfloat16_value(v.x);
}
inline __half __float2half(float f) {
  return {simt::half_bits(f)};
}
inline float __half2float(__half v) {
  return simt::half_value(v.x);
}

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
typedef struct CUstream_st* cudaStream_t;

// Streams are ignored: work is done before the call returns.
extern "C" {
cudaError_t cudaMalloc(void** pointer, size_t bytes);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemset(void* pointer, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value);
/** For cudaErrorLaunchFailure: the emulator's report. */
const char* cudaGetErrorString(cudaError_t error);
}
