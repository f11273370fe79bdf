// What calls should give, in float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "prunepeft/adapter.h"
#include "prunepeft/decoder.h"

/** A float64 sum that also knows how large it would be if its terms were independent: the root of the sum of their squares. */
class Sum {
 public:
  Sum(double value = 0.0) : value_(value), squares_(value * value) {}
  Sum& operator+=(double term) {
    value_ += term;
    squares_ += term * term;
    return *this;
  }
  /** Adds factor·sum, which is as uncertain as the sum's terms, or as what it is rounded to on the way. */
  void add(double factor, const Sum& sum) {
    value_ += factor * sum.value_;
    squares_ += factor * factor * std::max(sum.squares_, sum.value_ * sum.value_);
  }
  operator double() const { return value_; }
  double squares() const { return squares_; }

 private:
  double value_, squares_;
};

/** A float64 reference of a matrix. */
struct Reference {
  Reference(int64_t rows, int64_t columns) : rows(rows), columns(columns), values(static_cast<size_t>(rows * columns)) {}
  Sum& operator()(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  const Sum& operator()(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * columns + j)]; }
  int64_t rows, columns;
  std::vector<Sum> values;
};

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
