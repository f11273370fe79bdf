// Serial adapter on the CPU, bfloat16; compiled once for each instruction set.
//
//   forward   z = v Dᵀ + d, then out = h + σ(z) Uᵀ + u
//   backward  da = dout·U, dz = da∘σ'(z), dU = doutᵀ σ(z), dD = dzᵀ v, dv = dz·D, du and dd
//
// v, h, out and their gradients are bfloat16; the weights are float32, rounded as they are packed, and so is z; all sums are
// float32. Blocks, chunks and slots are those of float32 (adapter_kernels.cpp). An element of out or dv is rounded once: its
// sum adds up in a block of one panel's width.
//
// Limit: one multiply-add of pairs a cycle.
#include "adapter/cpu/adapter_cpu.h"
#include "adapter/cpu/adapter_slots.h"
#include "core/activation.h"
#include "core/pairs.h"
#include "core/slots.h"
#include "core/threads.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Sums of a block of rows, one panel wide. */
struct PanelSums {
  alignas(kCacheLine) float values[kBlockRows * kPanel];
};

/** result = large·panels + addend + bias, rounded. The addend and the bias may be null; the addend may be the result. */
void product_rounded(int64_t rows, const PairRows& large, const Panels& panels, const Bfloat16* addend, int64_t ld_addend,
                     const float* bias, Bfloat16* result, int64_t ld) {
  PanelSums sums;
  for (int64_t column = 0; column < panels.columns; column += kPanel) {
    const int64_t columns = least(kPanel, panels.columns - column);
    for (int64_t first = 0; first < panels.depth; first += kDepth) {
      times_panels(rows, large.skip(first), first, least(kDepth, panels.depth - first), panels, column, column + columns,
                   Whole{{sums.values - column, kPanel, first > 0}});
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; j += kWidth) {
        Vec sum = load(sums.values + i * kPanel + j);
        if (bias != nullptr) sum += load(bias + column + j, columns - j);
        if (addend != nullptr) sum += load(addend + i * ld_addend + column + j, columns - j);
        store(result + i * ld + column + j, sum, columns - j);
      }
    }
  }
}

/** Rows of σ(z), rounded; what pads a row is σ(0) = 0. */
void activate_rows(const AdapterForward& c, int64_t rows, float* z, Bfloat16* a, int64_t step) {
  const float* bias = static_cast<const float*>(c.adapter.down_bias.data);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < c.m; j += kWidth) {
      float* at = z + i * c.ldz + j;
      const Vec biased = load(at, c.m - j) + load(bias + j, c.m - j);
      store(at, biased, c.m - j);
      store(a + i * step + j, activate(c.adapter.activation, biased), kWidth);
    }
  }
}

void forward_rows(const AdapterForward& c, const Panels& down, const Panels& up, Bfloat16* all_a, int64_t row, int64_t rows) {
  const int64_t step = padded(c.m);
  float* z = c.z + row * c.ldz;
  Bfloat16* a = all_a + row * step;
  with_pair_rows(static_cast<const Bfloat16*>(c.v) + row * c.ldv, c.ldv, c.K, [&](const auto& v) {
    for (int64_t first = 0; first < down.depth; first += kDepth) {
      times_panels(rows, v.skip(first), first, least(kDepth, down.depth - first), down, 0, c.m, AddTo{z, c.ldz, first > 0});
    }
  });
  activate_rows(c, rows, z, a, step);
  product_rounded(rows, PairRows{a, step}, up, static_cast<const Bfloat16*>(c.h) + row * c.ldh, c.ldh,
                  static_cast<const float*>(c.adapter.up_bias.data), static_cast<Bfloat16*>(c.out) + row * c.ldout, c.ldout);
}

void forward(const AdapterForward& c) {
  WorkspacePieces pieces(c.workspace);
  float* down = pieces.floats(panel_floats(pairs(c.K), c.m));
  float* up = pieces.floats(panel_floats(pairs(c.m), c.K));
  Bfloat16* a = static_cast<Bfloat16*>(pieces.bytes(c.M, padded(c.m), sizeof(Bfloat16)));
  const int64_t down_items = pack_items(pairs(c.K), c.m);
  const auto pack = [&](int64_t item) {
    if (item < down_items) {
      pack_pairs_transposed(item, static_cast<const float*>(c.adapter.down.data), c.adapter.down.ld, c.K, c.m, down);
    } else {
      pack_pairs_transposed(item - down_items, static_cast<const float*>(c.adapter.up.data), c.adapter.up.ld, c.m, c.K, up);
    }
  };
  const auto rows = [&](int64_t item) {
    const int64_t row = item * kBlockRows;
    forward_rows(c, {down, pairs(c.K), c.m}, {up, pairs(c.m), c.K}, a, row, least(kBlockRows, c.M - row));
  };
  run_phases(2 * operations(c.M, c.K, c.m), phase(down_items + pack_items(pairs(c.m), c.K), pack),
             phase((c.M + kBlockRows - 1) / kBlockRows, rows));
}

/** Scratch of a block of rows, in rows of `step` elements. */
struct BlockScratch {
  int64_t step;
  float* a;
  float* dz;
  /** Of σ(z), then of dz: as pairs of rows. The thread's own. */
  float* interleaved;
  /** dz, rounded. */
  Bfloat16* rounded;
};

/** dz = da∘σ'(z), in place of da, and σ(z). */
void apply_slope(const AdapterBackward& c, const BlockScratch& block, const float* z, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < c.m; j += kWidth) {
      const Vec at = load(z + i * c.ldz + j, c.m - j);
      float* to = block.dz + i * block.step + j;
      store(to, load(to) * slope(c.adapter.activation, at));
      store(block.a + i * block.step + j, activate(c.adapter.activation, at));
    }
  }
}

/** Columns [first, last) of K. */
struct ColumnSpan {
  int64_t first, last;
};

/** sums (+)= Σ_i large(i, k)·small(i, j) over a block of rows, for some columns k. */
void add_outer(const AdapterBackward& c, const ColumnSpan& span, const Bfloat16* large, int64_t ld, const float* small,
               int64_t step, int64_t rows, float* sums, bool starts) {
  alignas(kCacheLine) float interleaved[kBlockRows / 2 * kDepth];
  for (int64_t first = span.first; first < span.last; first += kDepth) {
    const int64_t columns = least(kDepth, c.K - first);
    interleave(rows, columns, large + first, ld, interleaved, kDepth);
    times_rows(columns, PairColumns{interleaved, kDepth}, pairs(rows), small, step, c.m,
               AddTo{sums + first * step, step, !starts});
  }
}

/** Makes σ(z) and dz. */
void backward_rows(const AdapterBackward& c, const Panels& up, const BlockScratch& block, int64_t row, int64_t rows) {
  const int64_t step = block.step;
  const Bfloat16* dout = static_cast<const Bfloat16*>(c.dout) + row * c.lddout;
  with_pair_rows(dout, c.lddout, c.K, [&](const auto& large) {
    for (int64_t first = 0; first < up.depth; first += kDepth) {
      times_panels(rows, large.skip(first), first, least(kDepth, up.depth - first), up, 0, c.m,
                   Whole{{block.dz, step, first > 0}});
    }
  });
  apply_slope(c, block, c.z + row * c.ldz, rows);
}

/** Adds some columns of the sums over a block of rows to a slot. */
void add_rows(const AdapterBackward& c, const BlockScratch& block, const Slot& slot, int64_t row, int64_t rows,
              const ColumnSpan& span, bool starts_slot) {
  const int64_t step = block.step;
  const Bfloat16* dout = static_cast<const Bfloat16*>(c.dout) + row * c.lddout;
  const Bfloat16* v = static_cast<const Bfloat16*>(c.v) + row * c.ldv;
  interleave(rows, c.m, block.a, step, 1.0f, block.interleaved, step);
  add_outer(c, span, dout, c.lddout, block.interleaved, step, rows, slot.up, starts_slot);
  interleave(rows, c.m, block.dz, step, 1.0f, block.interleaved, step);
  add_outer(c, span, v, c.ldv, block.interleaved, step, rows, slot.down, starts_slot);
  add_column_sums(rows, span.last - span.first, dout + span.first, c.lddout, slot.up_bias + span.first, starts_slot);
  if (span.first == 0) add_column_sums(rows, step, block.dz, step, slot.down_bias, starts_slot);
}

void grad_input_rows(const AdapterBackward& c, const Panels& down, const BlockScratch& block, int64_t row, int64_t rows) {
  if (c.dv == nullptr) return;
  const int64_t step = block.step;
  round_rows(rows, c.m, block.dz, step, block.rounded, step);
  product_rounded(rows, PairRows{block.rounded, step}, down, nullptr, 0, nullptr, static_cast<Bfloat16*>(c.dv) + row * c.lddv,
                  c.lddv);
}

void backward(const AdapterBackward& c) {
  const RowChunks chunks(c.M);
  const int64_t step = padded(c.m), block_floats = kBlockRows * step;
  WorkspacePieces pieces(c.workspace);
  float* up = pieces.floats(panel_floats(pairs(c.K), c.m));
  float* down = pieces.floats(panel_floats(pairs(c.m), c.K));
  float* blocks = pieces.floats(activation_blocks(c.M) * 3, block_floats);
  float* of_threads = pieces.floats(call_threads(), block_floats);
  Slots slots{c.K, step, padded(c.K), nullptr, nullptr};
  slots.weights = pieces.floats(chunks.count, slots.weight_floats());
  slots.up_biases = pieces.floats(chunks.count, slots.bias_step);
  const int64_t up_items = pack_items(pairs(c.K), c.m), down_items = c.dv == nullptr ? 0 : pack_items(pairs(c.m), c.K);
  const auto pack = [&](int64_t item) {
    if (item < up_items) {
      pack_pairs_straight(item, static_cast<const float*>(c.adapter.up.data), c.adapter.up.ld, c.K, c.m, up);
    } else {
      pack_pairs_straight(item - up_items, static_cast<const float*>(c.adapter.down.data), c.adapter.down.ld, c.m, c.K, down);
    }
  };
  const ChunkParts parts(chunks, c.K);
  const Panels up_panels{up, pairs(c.K), c.m}, down_panels{down, pairs(c.m), c.K};
  const auto block_of = [&](int64_t row) {
    float* at = blocks + 3 * block_number(chunks, parts, row) * block_floats;
    return BlockScratch{step, at, at + block_floats, of_threads + thread_number() * block_floats,
                        reinterpret_cast<Bfloat16*>(at + 2 * block_floats)};
  };
  const auto block_rows = [&](int64_t item) {
    const int64_t row = item * kBlockRows, rows = least(kBlockRows, c.M - row);
    backward_rows(c, up_panels, block_of(row), row, rows);
    grad_input_rows(c, down_panels, block_of(row), row, rows);
  };
  const auto part = [&](int64_t item) {
    const int64_t chunk = parts.chunk(item);
    for (int64_t row = chunks.begin(chunk); row < chunks.end(chunk); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(chunk) - row);
      if (!parts.cut()) backward_rows(c, up_panels, block_of(row), row, rows);
      add_rows(c, block_of(row), slots.of(chunk), row, rows, {parts.first(item), parts.last(item)}, row == chunks.begin(chunk));
      if (!parts.cut()) grad_input_rows(c, down_panels, block_of(row), row, rows);
    }
  };
  const auto add = [&](int64_t item) { add_slots(c, slots, chunks.count, item); };
  run_phases(4 * operations(c.M, c.K, c.m), phase(up_items + down_items, pack),
             phase(parts.cut() ? (c.M + kBlockRows - 1) / kBlockRows : 0, block_rows), phase(parts.items(), part),
             phase(sum_items(c.K), add));
}

}  // namespace

extern const AdapterKernels adapter_bf16_kernels;
const AdapterKernels adapter_bf16_kernels = {forward, backward};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
