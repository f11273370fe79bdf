// Sums over a row for kernels that normalise it; compiled once for each instruction set, like simd.h.
#pragma once

#include <stdint.h>

#include "core/simd.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Σ term(j), a vector of elements from j on, by several sums, which keeps their rounding small. */
template <class Term>
PP_INLINE float sum_of(int64_t n, const Term& term) {
  constexpr int kSums = 4;
  Vec sums[kSums] = {};
  for (int64_t j = 0; j < n; j += kSums * kWidth) {
    for (int64_t i = 0; i < kSums && j + i * kWidth < n; ++i) sums[i] += term(j + i * kWidth);
  }
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
