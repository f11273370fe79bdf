// Sums over rows of the adapter's backward pass: a slot for each chunk of rows, for both element types. For the kernels'
// translation units alone.
#pragma once

#include "adapter/cpu/adapter_cpu.h"
#include "core/chunk_parts.h"
#include "core/pairs.h"
#include "core/slots.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Columns of K that an item of the last stage adds up. */
constexpr int64_t kSumRows = 16;

static inline double operations(int64_t M, int64_t K, int64_t m) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(K) * static_cast<double>(m);
}

/** A chunk's partial sums, in rows of `step` floats. */
struct Slot {
  float* up;         // dU [K, step]
  float* down;       // dDᵀ [K, step]
  float* down_bias;  // dd [step]
  float* up_bias;    // du [K padded]
};

/** Where the slots lie: `weights` floats for the first three, then all slots' up_bias. */
struct Slots {
  int64_t K, step, bias_step;
  float* weights;
  float* up_biases;
  int64_t weight_floats() const { return (2 * K + 1) * step; }
  Slot of(int64_t chunk) const {
    float* at = weights + chunk * weight_floats();
    return {at, at + K * step, at + 2 * K * step, up_biases + chunk * bias_step};
  }
};

/** Adds each column's sum over `rows` rows to `to`, or starts it. */
template <class Element>
static inline void add_column_sums(int64_t rows, int64_t columns, const Element* from, int64_t ld, float* to, bool starts) {
  for (int64_t j = 0; j < columns; j += kWidth) {
    Vec sum = load(from + j, columns - j);
    for (int64_t i = 1; i < rows; ++i) sum += load(from + i * ld + j, columns - j);
    store(to + j, starts ? sum : load(to + j) + sum);
  }
}

/** Where σ(z) and dz of a block of rows lie: those of a chunk one after the other in one place, or each in its own. */
static inline int64_t block_number(const RowChunks& chunks, const ChunkParts& parts, int64_t row) {
  return row / (parts.cut() ? kBlockRows : chunks.rows);
}

static inline int64_t sum_items(int64_t K) {
  return (K + kSumRows - 1) / kSumRows;
}

/** Writes item number `item` of the gradients, the sums over all slots. */
static inline void add_slots(const AdapterBackward& c, const Slots& slots, int64_t count, int64_t item) {
  const pp_adapter_gradients& g = c.gradients;
  const auto floats = [](const pp_matrix& of, int64_t from) { return static_cast<float*>(of.data) + from; };
  const Slot first = slots.of(0);
  const SlotSum weights{slots.weight_floats(), count, false};
  const SlotSum biases{slots.bias_step, count, false};
  const int64_t k = item * kSumRows, rows = least(kSumRows, c.K - k);
  weights.add_rows(first.up + k * slots.step, slots.step, rows, c.m, floats(g.up, k * g.up.ld), g.up.ld);
  weights.add_transposed(first.down + k * slots.step, slots.step, rows, c.m, floats(g.down, k), g.down.ld);
  biases.add_rows(first.up_bias + k, 0, 1, rows, floats(g.up_bias, k), 0);
  if (item == 0) weights.add_rows(first.down_bias, 0, 1, c.m, floats(g.down_bias, 0), 0);
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
