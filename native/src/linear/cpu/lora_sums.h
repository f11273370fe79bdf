// The last stage of LoRA's gradients of the weights, sums over all chunks of rows, for both element types. For the kernels'
// translation units alone.
#pragma once

#include "core/chunk_parts.h"
#include "core/product.h"
#include "core/slots.h"
#include "linear/cpu/lora_cpu.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Rows of dA or dB that an item of the last stage adds up. */
constexpr int64_t kSumRows = 16;

static inline int64_t items_of(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

static inline double operations(int64_t M, int64_t N, int64_t r) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(r);
}

/** Each module's columns in a slot of dAᵀ, in rows of `step` floats. */
struct SlotColumns {
  explicit SlotColumns(const LoraGradDown& c) {
    for (int32_t n = 0; n < c.module_count; ++n) {
      begin[n] = step;
      step += padded(c.modules[n].rank);
    }
  }
  int64_t begin[kMostModulesOfARow];
  int64_t step = 0;
};

static inline void add_db(const LoraGradUp& c, const SlotSum& sum, const float* slots, int64_t item) {
  const int64_t n = item * kSumRows, step = padded(c.r);
  sum.add_rows(slots + n * step, step, least(kSumRows, c.N - n), c.r, c.db + n * c.lddb, c.lddb);
}

static inline void add_da(const LoraGradDown& c, const SlotSum& sum, const float* slots, const SlotColumns& place,
                          int64_t item) {
  const int64_t k = item * kSumRows, rows = least(kSumRows, c.K - k);
  for (int32_t n = 0; n < c.module_count; ++n) {
    const LoraModule& module = c.modules[n];
    sum.add_transposed(slots + k * place.step + place.begin[n], place.step, rows, module.rank, module.da + k, module.ldda);
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
