// How far rounding may take a result, for tests that compare with float64: a running error analysis (Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., 2002, sections 2.2, 3.1 and 3.3). A reference is made of sums (Sum) that know how
// far a kernel's may be from them; nothing in it is tuned. Comparisons look at
//
//   each element, by the worst case: all roundings err the same way, and a sum is added in any order;
//   the norm, by what is likely: the worst case of a long sum would hide what is wrong with all elements by a little.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "prunepeft/tensor.h"

namespace rounding {

/** Unit roundoffs: half the distance from 1 to the next number. */
constexpr double kFloat64 = 0x1p-53, kFloat32 = 0x1p-24, kFloat16 = 0x1p-11, kBfloat16 = 0x1p-8;

constexpr double roundoff(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? kFloat32 : dtype == PP_FLOAT16 ? kFloat16 : kBfloat16;
}

/** Half the least number of a type, all that rounding may take from one near 0. */
constexpr double least_half(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? 0x1p-150 : dtype == PP_FLOAT16 ? 0x1p-25 : 0x1p-134;
}

/** A product or an exponential below it may be 0 to a kernel: e⁻⁸⁷, a little more than float32's least normal number. */
constexpr double kUnderflow = 1.7e-38;

#if defined(PRUNEPEFT_TENSOR_CORES)
/** Tensor cores cut off where others round, which is twice as much and always towards 0. */
constexpr double kSumRoundoff = 2 * kFloat32;
constexpr bool kRoundsToNearest = false;
#else
constexpr double kSumRoundoff = kFloat32;
constexpr bool kRoundsToNearest = true;
#endif

/** γₙ = n u / (1 − n u): n roundings one after the other, relative to the number; or n terms added in any order, to Σ|term|. */
constexpr double gamma(double roundings, double u) {
  return roundings * u / (1 - roundings * u);
}

/**
 * Roundings of a term besides those of additions, at most: its product, a mask's factor, that factor's own, and a scale or a
 * bias.
 */
constexpr double kBeside = 4;

/**
 * Of exp(-t), t ≥ 0, relative. It is a power of two, of t times a constant: that and the product are rounded, which moves the
 * power by u t each. Its polynomial takes 3.4u more. CUDA's expf is within 2 ulp, 4u (CUDA C++ Programming Guide, mathematical
 * functions).
 */
constexpr double exponential(double t) {
  return gamma(2 * t + 5, kFloat32);
}

/**
 * Of tanh(x), relative: near 0 a polynomial in x², beyond it (1 − e) / (1 + e), whose e is off by 1.9u at most and moves it by
 * twice that, with three roundings of about 1, all of a tangent of 0.55 or more: 13u.
 */
constexpr double kTangent = gamma(16, kFloat32);

/**
 * Of σ(z) and σ'(z), GELU's and SiLU's. On CUDA GELU is z/2 (1 + erf), with erff within 2 ulp: 5u |z|, and its slope 7u. Of
 * SiLU the logistic is within 6u, and 1 less that in its slope z times as much.
 */
inline double activation(double z) {
  return gamma(8, kFloat32) * (1 + std::fabs(z));
}
/** More than any |σ'(z)|: GELU's are at most 1.13, SiLU's 1.10. */
constexpr double kSteepest = 1.2;

}  // namespace rounding

/**
 * A float64 sum, and how far a kernel's may be from it that adds in float32. Its terms are products of what the kernel has bit
 * by bit, or of other such sums (add). A sum of no terms is exact.
 */
class Sum {
 public:
  /** A number that the kernel has bit by bit. */
  Sum(double value = 0.0) : value_(value), magnitude_(std::fabs(value)), squares_of_terms_(value * value) {}

  /** A number that may be off for other reasons than rounding, such as a function's approximation. */
  static Sum off(double value, double error) {
    Sum sum(value);
    sum.magnitude_ += error;
    sum.worst_ = sum.biased_ = error;
    return sum;
  }

  Sum& operator+=(double term) {
    if (term == 0.0) return *this;  // adds nothing, and takes no rounding
    value_ += term;
    magnitude_ += std::fabs(term);
    squares_of_terms_ += term * term;
    ++terms_;
    return *this;
  }

  /** Adds factor·term, the factor being exact. */
  void add(double factor, const Sum& term) {
    if (factor == 0.0) return;
    const double size = std::fabs(factor), error = size * term.error(), value = factor * term.value_;
    value_ += value;
    magnitude_ += std::fabs(value) + error;
    squares_of_terms_ += value * value;
    ++terms_;
    worst_ += error;
    biased_ += size * term.biased();
    variance_ += factor * factor * term.variance();
  }

  /** A function of z, no steeper than `steepest`, which a kernel has within `error` of any number. */
  static Sum function(double value, double steepest, const Sum& z, double error) {
    Sum sum = off(value, error);
    sum.worst_ += steepest * z.error();
    sum.biased_ += steepest * z.biased();
    sum.variance_ = steepest * steepest * z.variance();
    sum.magnitude_ = std::fabs(value) + sum.worst_;
    return sum;
  }

  /** a·b in float32. */
  static Sum product(const Sum& a, const Sum& b) {
    const double of_a = a.error(), of_b = b.error(), size_a = std::fabs(a.value_), size_b = std::fabs(b.value_);
    Sum sum(a.value_ * b.value_);
    sum.terms_ = 1.0;
    sum.worst_ = size_a * of_b + size_b * of_a + of_a * of_b;
    sum.magnitude_ += sum.worst_;
    sum.biased_ = size_a * b.biased() + size_b * a.biased() + a.biased() * b.biased();
    sum.variance_ = size_a * size_a * b.variance() + size_b * size_b * a.variance();
    return sum;
  }

  /** The same sum of a kernel that adds it in lanes, so that a term passes this many additions at most. */
  Sum in_lanes(double additions) const {
    Sum sum = *this;
    sum.terms_ = std::min(sum.terms_, additions);
    return sum;
  }

  /**
   * As it lies in memory of a type. Of float32 it is there already; others round it, and do so `times` times if parts of it lie
   * there in between.
   */
  Sum stored(pp_dtype dtype, int times = 1) const {
    Sum sum(value_);
    sum.worst_ = error();
    sum.biased_ = biased();
    sum.variance_ = variance();
    if (dtype != PP_FLOAT32) {
      const double u = rounding::roundoff(dtype), least = rounding::least_half(dtype), before = times - 1;
      sum.worst_ += before * (u * (1 + times * u) * (magnitude_ + sum.worst_) + least);
      const double last = u * (std::fabs(value_) + sum.worst_) + least;
      sum.worst_ += last;
      sum.variance_ += before * (u * u * size_of_parts() + least * least) + last * last;
    }
    sum.magnitude_ += sum.worst_;
    return sum;
  }

  operator double() const { return value_; }

  /** How far a kernel's may be from it: γ of the sum of magnitudes, and what its terms bring. */
  double error() const {
    return worst_ + (terms_ == 0.0 ? 0.0 : own(rounding::kSumRoundoff) * magnitude_ + terms_ * rounding::kUnderflow);
  }

  /** The part of it that is no rounding up as often as down. */
  double biased() const { return biased_ + (rounding::kRoundsToNearest || terms_ == 0.0 ? 0.0 : error() - worst_); }

  /**
   * Of independent errors, as often up as down, the sum of their squares: u times what is rounded. Partial sums are taken to be
   * as large as those of terms with independent signs.
   */
  double variance() const {
    if (!rounding::kRoundsToNearest || terms_ == 0.0) return variance_;
    return variance_ + (terms_ + rounding::kBeside) * rounding::kFloat32 * rounding::kFloat32 * size_of_parts();
  }

 private:
  double own(double u) const { return rounding::gamma(terms_ + rounding::kBeside, u); }
  double size_of_parts() const { return std::max(squares_of_terms_, value_ * value_); }

  double value_, magnitude_, squares_of_terms_, terms_ = 0.0;
  /** What terms bring. */
  double worst_ = 0.0, biased_ = 0.0, variance_ = 0.0;
};

/** A float64 reference of a matrix. */
struct Reference {
  Reference(int64_t rows, int64_t columns) : rows(rows), columns(columns), values(static_cast<size_t>(rows * columns)) {}
  Sum& operator()(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  const Sum& operator()(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * columns + j)]; }
  /** As it lies in memory of a type. */
  Reference stored(pp_dtype dtype) const {
    Reference result = *this;
    for (Sum& value : result.values) value = value.stored(dtype);
    return result;
  }
  int64_t rows, columns;
  std::vector<Sum> values;
};

/** How near a matrix comes to what rounding allows, as a part of it: 1 at most. */
struct Shares {
  double element = 0.0, norm = 0.0;
};

/**
 * Of rows from `first_row` on, and of first columns.
 *
 * The norm: errors that are no roundings count whole (biased). The others are e = Tδ, the δ being independent, 1 at most and 0
 * in the mean; V, the sum of the squares in T, is Sum::variance of all elements. Then ‖e‖ is more than √V + √(2t)·‖T‖ with a
 * probability of exp(-t) at most (Hsu, Kakade and Zhang, A tail inequality for quadratic forms of subgaussian random vectors,
 * Electronic Communications in Probability 17, 2012). A rounding that several elements share, as one of S, is shared by those
 * of a row or those of a column, so that ‖T‖² is no more than the largest part of V that a row or a column has. With t = 32 the
 * probability is 10⁻¹⁴.
 */
template <class Matrix>
Shares shares_of(const Matrix& seen, const Reference& reference, int64_t first_row, int64_t rows, int64_t columns) {
  constexpr double kRootOf2T = 8.0;
  Shares shares;
  double squares = 0.0, biased = 0.0, all = 0.0, most = 0.0;
  std::vector<double> of_columns(static_cast<size_t>(columns));
  for (int64_t i = first_row; i < first_row + rows; ++i) {
    double of_row = 0.0;
    for (int64_t j = 0; j < columns; ++j) {
      const Sum& expected = reference(i, j);
      const double error = std::fabs(static_cast<double>(seen(i, j)) - static_cast<double>(expected));
      const double variance = expected.variance();
      squares += error * error;
      biased += expected.biased() * expected.biased();
      of_row += variance;
      of_columns[static_cast<size_t>(j)] += variance;
      if (error == 0.0) continue;
      const double share = error / expected.error();
      shares.element = share > shares.element ? share
                       : std::isnan(share)    ? std::numeric_limits<double>::infinity()
                                              : shares.element;
    }
    all += of_row;
    most = std::max(most, of_row);
  }
  for (const double of_column : of_columns) most = std::max(most, of_column);
  if (rounding::kRoundsToNearest && squares != 0.0)
    shares.norm = std::sqrt(squares) / (std::sqrt(biased) + std::sqrt(all) + kRootOf2T * std::sqrt(most));
  return shares;
}

template <class Matrix>
Shares shares_of(const Matrix& seen, const Reference& reference) {
  return shares_of(seen, reference, 0, reference.rows, reference.columns);
}
