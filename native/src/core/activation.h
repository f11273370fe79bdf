// σ and σ' of vectors. GELU is the exact one: Φ(x) comes from its tail Q(t) = Φ(-t), t = |x|, written as
// exp(-t²/2)·P(1 / (1 + t/4)) with P of degree 9 (relative error 1.1e-8 for t <= 13, fitted for this file), so that one
// exponential serves Φ and the density, and small values of Φ keep their relative accuracy.
#pragma once

#include "core/simd.h"
#include "prunepeft/adapter.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

struct Normal {
  /** Φ(x), and exp(-x²/2). */
  Vec distribution, bell;
};

/** 2^y for -126 <= y <= 0. */
static PP_INLINE Vec power_of_2(Vec y) {
  // y = n + f, n an integer: adding 1.5·2^23 leaves n in the low bits of the sum.
  constexpr float kRounder = 12582912.0f;
  const Vec rounded = y + kRounder;
  const Vec f = y - (rounded - kRounder);
  Vec p = broadcast(0.000153458095f);
  p = fma(p, f, broadcast(0.00133999309f));
  p = fma(p, f, broadcast(0.00961848907f));
  p = fma(p, f, broadcast(0.0555032864f));
  p = fma(p, f, broadcast(0.240226462f));
  p = fma(p, f, broadcast(0.693147182f));
  p = fma(p, f, broadcast(1.0f));
  return (Vec)((IntVec)p + ((IntVec)rounded << 23));
}

/** exp(x) for x <= 0; 0 from -87 on; NaN of NaN. */
static PP_INLINE Vec exponential(Vec x) {
  const Vec power = power_of_2((x > -87.0f ? x : Vec{}) * 1.44269504089f);
  return x > -87.0f ? power : (x == x ? Vec{} : x);
}

/** exp(-t²/2) for 0 <= t < 13, 0 for t = 13. */
static PP_INLINE Vec bell_curve(Vec t) {
  const Vec power = power_of_2(t * t * -0.721347520444f);  // log2(e) / 2
  return t < 13.0f ? power : Vec{};
}

static PP_INLINE Normal normal(Vec x) {
  const Vec t = minimum(absolute(x), broadcast(13.0f));
  const Vec bell = bell_curve(t);
  const Vec u = 1.0f / (1.0f + 0.25f * t);
  Vec p = broadcast(0.0350159928f);
  p = fma(p, u, broadcast(-0.20196943f));
  p = fma(p, u, broadcast(0.408607006f));
  p = fma(p, u, broadcast(-0.351631105f));
  p = fma(p, u, broadcast(0.319647312f));
  p = fma(p, u, broadcast(-0.0285792481f));
  p = fma(p, u, broadcast(0.124433249f));
  p = fma(p, u, broadcast(0.094196029f));
  p = fma(p, u, broadcast(0.10030584f));
  p = fma(p, u, broadcast(-2.56714029e-05f));
  const Vec tail = bell * p;
  return {x < 0.0f ? tail : 1.0f - tail, bell};
}

struct Logistic {
  /** 1 / (1 + exp(-z)), and its derivative. */
  Vec value, slope;
};

/** By exp(-|z|), which keeps small values' relative accuracy. */
static PP_INLINE Logistic logistic(Vec z) {
  const Vec e = exponential(-absolute(z));
  const Vec r = 1.0f / (1.0f + e);
  return {z < 0.0f ? e * r : r, e * r * r};
}

/** tanh(x). Near 0, where 1 - exp(-2x) loses digits, by a polynomial. */
static PP_INLINE Vec hyperbolic_tangent(Vec x) {
  const Vec size = absolute(x), square = x * x;
  Vec p = broadcast(-0.00576363876f);
  p = fma(p, square, broadcast(0.0207058173f));
  p = fma(p, square, broadcast(-0.0537659749f));
  p = fma(p, square, broadcast(0.133318558f));
  p = fma(p, square, broadcast(-0.333333045f));
  const Vec small = fma(p * square, x, x);
  const Vec e = exponential(-2.0f * size);
  const Vec large = (1.0f - e) / (1.0f + e);
  return size < 0.625f ? small : (x < 0.0f ? -large : large);
}

/** σ(z). */
static PP_INLINE Vec activate(pp_activation activation, Vec z) {
  if (activation == PP_RELU) return z < 0.0f ? Vec{} : z;
  if (activation == PP_GELU) return z * normal(z).distribution;
  if (activation == PP_SILU) return z * logistic(z).value;
  return z;
}

/** σ'(z). */
static PP_INLINE Vec slope(pp_activation activation, Vec z) {
  constexpr float kDensityScale = 0.398942280401f;  // 1 / sqrt(2 pi)
  if (activation == PP_RELU) return z > 0.0f ? broadcast(1.0f) : Vec{};
  if (activation == PP_GELU) {
    const Normal at = normal(z);
    return fma(z * kDensityScale, at.bell, at.distribution);
  }
  if (activation == PP_SILU) {
    const Logistic at = logistic(z);
    return fma(z, at.slope, at.value);
  }
  return broadcast(1.0f);
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
