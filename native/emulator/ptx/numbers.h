// Numbers by their bits, in the roundings that PTX has.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace ptx {
inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline uint64_t bits_of_double(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float value_of_bfloat16(uint16_t bits) {
  return float_of(uint32_t{bits} << 16);
}

inline float value_of_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float size = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                     : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                     : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return bits >> 15 != 0 ? -size : size;
}

/**
 * A float32 rounded to the nearest number, ties to even, of so many bits behind the first and a least normal exponent, in units
 * of its last place: a format's bits, if those of larger numbers follow on those of smaller ones.
 */
inline uint32_t rounded(float size, int fraction_bits, int least_exponent) {
  if (size == 0) return 0;
  int exponent = 0;
  std::frexp(size, &exponent);  // size = f 2^exponent, f in [1/2, 1)
  const int scale = exponent - 1 < least_exponent ? least_exponent : exponent - 1;
  const double places = std::nearbyint(std::ldexp(double{size}, fraction_bits - scale));
  return static_cast<uint32_t>(places) + (static_cast<uint32_t>(scale - least_exponent) << fraction_bits);
}

/** To nearest, ties to even; of NaN the canonical one. */
inline uint16_t half_of(float value) {
  if (value != value) return 0x7fff;
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0, infinity = 0x7c00;
  const uint32_t size = std::isinf(value) ? infinity : rounded(std::fabs(value), 10, -14);
  return static_cast<uint16_t>(sign | (size < infinity ? size : infinity));
}

inline uint16_t bfloat16_of(float value) {
  if (value != value) return 0x7fff;
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0, infinity = 0x7f80;
  const uint32_t size = std::isinf(value) ? infinity : rounded(std::fabs(value), 7, -126);
  return static_cast<uint16_t>(sign | (size < infinity ? size : infinity));
}

/** a b + c, rounded down. */
inline float fused_down(float a, float b, float c) {
  const float nearest = std::fma(a, b, c);
  const double product = double{a} * double{b};  // exact
  const double sum = product + double{c}, rest = sum - product;
  const double error = (product - (sum - rest)) + (double{c} - rest);  // of the sum
  return double{nearest} - sum > error ? std::nextafter(nearest, -INFINITY) : nearest;
}

/** Subnormals are zeros of their sign. */
inline float flushed(float value) {
  return std::fabs(value) < std::numeric_limits<float>::min() ? std::copysign(0.0f, value) : value;
}
}  // namespace ptx
