// What calls should give, in float64.
#pragma once

#include <cmath>
#include <cstdint>

#include "prunepeft/adapter.h"
#include "prunepeft/decoder.h"
#include "rounding.h"

/** σ(z). */
inline double activate(pp_activation activation, double z) {
  if (activation == PP_RELU) return z > 0 ? z : 0;
  if (activation == PP_GELU) return z * 0.5 * std::erfc(-z / std::sqrt(2.0));
  if (activation == PP_SILU) return z / (1 + std::exp(-z));
  return z;
}

/** σ'(z). */
inline double slope(pp_activation activation, double z) {
  if (activation == PP_RELU) return z > 0 ? 1 : 0;
  if (activation == PP_SILU) return 1 / (1 + std::exp(-z)) * (1 + z / (1 + std::exp(z)));
  if (activation == PP_GELU) {
    return 0.5 * std::erfc(-z / std::sqrt(2.0)) + z * std::exp(-z * z / 2) / std::sqrt(2 * std::acos(-1.0));
  }
  return 1;
}

/** Whether a kernel has σ(z) without an approximation. */
inline bool is_exact(pp_activation activation) {
  return activation == PP_IDENTITY || activation == PP_RELU;
}

/** σ of what a kernel has of z, in float32. */
inline Sum activated(pp_activation activation, const Sum& z) {
  const bool exact = is_exact(activation);
  return Sum::function(activate(activation, z), exact ? 1.0 : rounding::kSteepest, z, exact ? 0.0 : rounding::activation(z));
}

/** σ'(z) as a kernel has it, in float32. */
inline Sum slope_at(pp_activation activation, double z) {
  return Sum::off(slope(activation, z), is_exact(activation) ? 0.0 : rounding::activation(z));
}

/** GELU approximated by tanh, or its derivative. */
inline double gelu_tanh(double z, bool derivative = false) {
  const double root = std::sqrt(2 / std::acos(-1.0)), t = std::tanh(root * (z + 0.044715 * z * z * z));
  const double slope = root * (1 + 3 * 0.044715 * z * z);
  return derivative ? 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * slope : 0.5 * z * (1 + t);
}

/** A gate's σ(z). */
inline double activate(pp_gate gate, double z) {
  return gate == PP_GEGLU_TANH ? gelu_tanh(z) : activate(gate == PP_SWIGLU ? PP_SILU : PP_GELU, z);
}

/** A gate's σ'(z). */
inline double slope(pp_gate gate, double z) {
  return gate == PP_GEGLU_TANH ? gelu_tanh(z, true) : slope(gate == PP_SWIGLU ? PP_SILU : PP_GELU, z);
}

/** c·tanh(z / c), or z where c is 0, and what a gradient by it is multiplied by. */
struct Capped {
  Sum value, slope;
};

/** As a kernel has both, in float32. */
inline Capped capped(const Sum& z, double cap) {
  using rounding::gamma;
  using rounding::kFloat32;
  using rounding::kTangent;
  if (cap == 0.0) return {z, 1.0};
  // There is a quotient before the tangent and a product behind it; 1 − t² may be of a t that went through another quotient. It
  // loses 2 |t| of what t does, and rounds the square and the difference, of 1 at most.
  const double t = std::tanh(z / cap), of_z = z.error() + gamma(1, kFloat32) * std::fabs(static_cast<double>(z));
  const double of_t = of_z / cap + std::fabs(t) * (kTangent + gamma(3, kFloat32));
  return {Sum::off(cap * t, of_z + cap * std::fabs(t) * (kTangent + gamma(1, kFloat32))),
          Sum::off(1.0 - t * t, (2 * std::fabs(t) + of_t) * of_t + gamma(2, kFloat32))};
}

/** exp(x), x ≤ 0, as a kernel has it, in float32. */
inline Sum exponential(const Sum& x) {
  const double value = std::exp(x);
  return Sum::off(value, value * (std::exp(x.error()) * (1.0 + rounding::exponential(-x)) - 1.0) + rounding::kUnderflow);
}

/** a − b, of numbers whose own errors do not count, or fall out. */
inline Sum less(const Sum& a, double b) {
  const double difference = a - b;
  return Sum::off(difference, a.error() + rounding::gamma(1, rounding::kFloat32) * std::fabs(difference));
}
