// The last stage of sums over rows: the chunks' slots are added in index order and written to, or added to, the result.
#pragma once

#include "core/simd.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

struct SlotSum {
  /** Floats from one slot to the next. */
  int64_t slot_floats;
  int64_t count;
  /** Add to what the result holds already. */
  bool accumulate;

  /** A vector of the first slot, and the same of all others. */
  PP_INLINE Vec total(const float* at) const {
    Vec sum = load(at);
    for (int64_t slot = 1; slot < count; ++slot) sum += load(at + slot * slot_floats);
    return sum;
  }

  /** rows x columns of sums, from rows of `step` floats to `to` with leading dimension ld. */
  PP_INLINE void add_rows(const float* from, int64_t step, int64_t rows, int64_t columns, float* to, int64_t ld) const {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; j += kWidth) {
        float* at = to + i * ld + j;
        const Vec sum = total(from + i * step + j);
        store(at, accumulate ? load(at, columns - j) + sum : sum, columns - j);
      }
    }
  }

  /** The same transposed: `to` has `columns` rows. */
  PP_INLINE void add_transposed(const float* from, int64_t step, int64_t rows, int64_t columns, float* to, int64_t ld) const {
    for (int64_t j = 0; j < columns; j += kWidth) {
      for (int64_t i = 0; i < rows; ++i) {
        const Vec sum = total(from + i * step + j);
        for (int64_t lane = 0; lane < least(kWidth, columns - j); ++lane) {
          float* at = to + (j + lane) * ld + i;
          store_one(at, accumulate ? load_one(at) + sum[lane] : sum[lane]);
        }
      }
    }
  }
};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
