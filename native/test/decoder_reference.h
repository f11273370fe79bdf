// What the functions of decoder.h should give, in float64, with how far rounding may take it.
#pragma once

#include "reference.h"

/** Rows of `runs` times K elements. A sum over a run passes so many additions a term. */
struct NormShape {
  pp_dtype dtype;
  int64_t M, runs, K;
  float epsilon;
  bool adds_one;
  double additions;
};

struct NormReference {
  Reference y, scales, dx;
};

/** Of x(i, j), dy(i, j) and the weight's w(j). */
template <class X, class Dy, class W>
NormReference rms_norm_reference(const NormShape& shape, const X& x, const Dy& dy, const W& w) {
  using rounding::gamma;
  using rounding::kFloat32;
  const int64_t K = shape.K;
  const auto width = static_cast<double>(K);
  NormReference expected{Reference(shape.M, shape.runs * K), Reference(shape.M, shape.runs),
                         Reference(shape.M, shape.runs * K)};
  const auto weight = [&](int64_t j) { return static_cast<double>(w(j)) + (shape.adds_one ? 1.0 : 0.0); };
  for (int64_t i = 0; i < shape.M; ++i) {
    for (int64_t g = 0; g < shape.runs; ++g) {
      Sum squares, dot;
      for (int64_t j = 0; j < K; ++j) {
        const double v = x(i, g * K + j);
        squares += v * v;
        dot += weight(j) * dy(i, g * K + j) * v;
      }
      squares = squares.in_lanes(shape.additions);
      dot = dot.in_lanes(shape.additions);
      // 1 / √q of a q that is off by a part p is off by 1 / √(1 − p) − 1, and three roundings more: two of q, half of them
      // each, of the root and of the quotient.
      const double q = squares / width + static_cast<double>(shape.epsilon), scale = 1.0 / std::sqrt(q);
      const double of_scale = (1.0 + gamma(3, kFloat32)) / std::sqrt(1.0 - squares.error() / (width * q)) - 1.0;
      expected.scales(i, g) = Sum::off(scale, scale * of_scale);
      // y = x·scale·w' is the scale with three roundings, as w' and two products; dx is x·s³/K·Σ less of that, with one
      // rounding for each factor.
      const double of_product = (1.0 + of_scale) * (1.0 + gamma(3, kFloat32)) - 1.0;
      const double cube = scale * scale * scale / width;
      const double of_cube = std::pow(1.0 + of_scale, 3) * (1.0 + gamma(5, kFloat32)) - 1.0;
      const Sum along = Sum::product(Sum::off(cube, cube * of_cube), dot);
      for (int64_t j = 0; j < K; ++j) {
        const int64_t at = g * K + j;
        const double y = x(i, at) * scale * weight(j), across = dy(i, at) * scale * weight(j);
        expected.y(i, at) = Sum::off(y, std::fabs(y) * of_product).stored(shape.dtype);
        Sum dx;
        dx.add(1.0, Sum::off(across, std::fabs(across) * of_product));
        dx.add(-x(i, at), along);
        expected.dx(i, at) = dx.stored(shape.dtype);
      }
    }
  }
  return expected;
}

/** a·cosine + b·sine. */
inline Sum rotated(pp_dtype dtype, double a, double cosine, double b, double sine) {
  Sum sum;
  sum += a * cosine;
  sum += b * sine;
  return sum.stored(dtype);
}

/** σ(z)·up, and the gradients by z and by up. */
struct GateReference {
  Sum out, dgate, dup;
};

inline GateReference gate_reference(pp_dtype dtype, pp_gate gate, double z, double up, double dout) {
  // Far from 0, where an exponential or a cube could overflow, a kernel has z or 0 but for a rounding or two, and the slope.
  const bool is_far = std::fabs(z) > 1e4;
  const Sum value = is_far ? Sum::off(std::max(z, 0.0), rounding::gamma(2, rounding::kFloat32) * std::max(z, 0.0))
                           : Sum::off(activate(gate, z), rounding::activation(z));
  const Sum slope_there = is_far ? Sum(z > 0 ? 1.0 : 0.0) : Sum::off(slope(gate, z), rounding::activation(z));
  Sum of_slope;
  of_slope += dout * up;
  return {Sum::product(value, up).stored(dtype), Sum::product(of_slope, slope_there).stored(dtype),
          Sum::product(value, dout).stored(dtype)};
}
