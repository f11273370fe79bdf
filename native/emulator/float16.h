// bf16 and half as bit patterns, and their conversions: to nearest, ties to even. Of emulator and tests.
#pragma once

#include <cmath>
#include <cstdint>

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
