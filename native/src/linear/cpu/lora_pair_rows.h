// D(x) of bfloat16 rows, for the kernels' translation units alone. The mask only sets elements to 0, which is exact: the factor
// of those that are kept is the caller's to apply to the sum.
#pragma once

#include "core/pairs.h"
#include "linear/cpu/lora_rows.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Masks a row group of at most kDepth columns of x into rows of kDepth, with zeros up to whole vectors. */
static inline void mask_rows(const DropoutMask& mask, uint32_t module, int64_t K, int64_t row, int64_t rows, int64_t column,
                             int64_t columns, const Bfloat16* x, int64_t ldx, Bfloat16* to) {
  MaskBlock block;
  block.draw(mask, module, K, row, rows, column, columns);
  for (int64_t i = 0; i < rows; ++i) {
    const Bfloat16* from = x + (row + i) * ldx + column;
    for (int64_t k = 0; k < columns; k += kWidth) {
      store(to + i * kDepth + k, keep(load(from + k, columns - k), mask_bits(block.bits[i], k)), kWidth);
    }
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
