// D(x) of bfloat16 rows, for the kernels' translation units alone. The mask only sets elements to 0, which is exact: the factor
// of those that are kept is the caller's to apply to the sum.
#pragma once

#include "core/pairs.h"
#include "linear/cpu/lora_rows.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Masks a row group of at most kDepth columns of x into rows of kDepth, with zeros up to whole vectors. */
static inline void mask_rows(const LoraModule& module, int64_t K, const Region& at, const Bfloat16* x, int64_t ldx,
                             Bfloat16* to) {
  MaskBlock block;
  block.draw(module, K, at);
  for (int64_t i = 0; i < at.rows; ++i) {
    const Bfloat16* from = x + (at.row + i) * ldx + at.column;
    for (int64_t k = 0; k < at.columns; k += kWidth) {
      store(to + i * kDepth + k, keep(load(from + k, at.columns - k), mask_bits(block.bits[i], k)), kWidth);
    }
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
