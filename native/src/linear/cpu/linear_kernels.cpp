// A frozen linear with LoRA on the CPU, float32; compiled once for each instruction set.
//
//   forward     S = s·D(x) Aᵀ; y = x Wᵀ + b + S Bᵀ
//   grad_input  dX = dY W + Σ Dᵀ(dS A)
//
// A block of rows is one item of work from its first product to its last: S of the rows, then y strip by strip against W, which
// was packed once, then S Bᵀ while the rows of y are still in the caches. x and y go through memory once. The inner dimension
// is cut into runs of kRun, for which a strip's part of W stays in the second cache while all tiles of the block's rows pass
// it; tiles are as wide as registers allow (6 rows x 4 vectors), which takes fewest loads for a multiply-add.
//
// There is one way for every shape: products by a library, over panels of rows or of W and B side by side, were timed beside it
// and lose at all shapes (benchmarks/NOTES.md), so that nothing is left to choose.
//
// Limit: two fused multiply-adds a cycle. A tile's step loads 4 vectors and 6 broadcasts for 24 of them (AVX-512).
#include "linear/cpu/linear_cpu.h"

#include "core/product.h"
#include "core/workspace.h"
#include "linear/cpu/linear_rows.h"
#include "linear/plan.h"
#include "linear/cpu/lora_rows.h"
#include "linear/cpu/strips.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** The inner dimension of one pass over a strip. */
constexpr int64_t kRun = 384;
static_assert(kRun <= kMostRun && kRun % 2 == 0, "decoded in whole pairs");
/** Columns of y that all runs of the inner dimension are finished for before the next ones start. */
constexpr int64_t kBlockColumns = 6 * kStrip;
/** result = sum + bias in the first run, result + sum in the others. */
struct AddBias {
  float* result;
  int64_t ld;
  /** Null after the first run. */
  const float* bias;
  PP_INLINE void operator()(int64_t i, int64_t j, int64_t n, Vec sum) const {
    float* to = result + i * ld + j;
    store(to, sum + (bias != nullptr ? load(bias + j) : load(to, n)), n);
  }
};

/** An item of (large · W), W being depth x columns; `finish_run(first)` gives a run's finish. */
template <class FinishRun>
void times_packed(const Items& items, int64_t item, const float* large, int64_t ld, const Strips& w, int64_t depth,
                  const FinishRun& finish_run) {
  const int64_t rows = items.rows(items.block(item)), end = items.last_column(item), columns = items.columns;
  large += items.row(items.block(item)) * ld;
  for (int64_t block = items.first_column(item); block < end; block += kBlockColumns) {
    for (int64_t first = 0; first < depth; first += kRun) {
      for (int64_t column = block; column < least(block + kBlockColumns, end); column += kStrip) {
        const int64_t width = round_up(least(kStrip, columns - column), kWidestVector), steps = least(kRun, depth - first);
        times_wide_strip(rows, Rows{large + first, ld}, steps, w.run(column, width, first, steps), width, column,
                         least(kStrip, columns - column), finish_run(first));
      }
    }
  }
}

/** Packs item number `item` of all modules' A. */
void pack_a(const ModulePanels& panels, const LoraModule* modules, int64_t K, bool down, int64_t item) {
  const int32_t n = module_of(panels, item);
  const float* a = static_cast<const float*>(modules[n].a);
  if (down) {
    pack_transposed(item, a, modules[n].lda, K, modules[n].rank, panels.floats[n]);
  } else {
    pack_straight(item, a, modules[n].lda, modules[n].rank, K, panels.floats[n]);
  }
}

void forward(const LinearForward& c) {
  const int64_t N = c.linear->N, K = c.linear->K;
  const float* x = static_cast<const float*>(c.x);
  WorkspacePieces pieces(c.workspace);
  const Strips w(*c.linear, true, run_buffers(*c.linear, pieces));
  const LoraDown down{c.M, K, x, c.ldx, c.modules, c.module_count, nullptr};
  int64_t ranks = 0;
  for (int32_t n = 0; n < c.module_count; ++n) ranks += round_up(c.modules[n].rank, kWidestVector);
  const ModulePanels a = carve_panels(pieces.floats(K, ranks), c.modules, c.module_count, K, true);
  ModulePanels b;
  for (int32_t n = 0; n < c.module_count; ++n) {
    b.floats[n] = pieces.floats(round_up(c.modules[n].columns, kWidestVector), c.modules[n].rank);
    b.of[n] = {b.floats[n], c.modules[n].rank, c.modules[n].columns};
    b.items += pack_items(c.modules[n].rank, c.modules[n].columns);
  }
  const auto pack = [&](int64_t item) {
    if (item < a.items) return pack_a(a, c.modules, K, true, item);
    item -= a.items;
    const int32_t n = module_of(b, item);
    const LoraModule& module = c.modules[n];
    pack_transposed(item, static_cast<const float*>(module.b), module.ldb, module.rank, module.columns, b.floats[n]);
  };
  const Items items(c.M, N, kStrip, c.linear->by_runs());
  float* all_y = static_cast<float*>(c.y);
  const auto down_block = [&](int64_t block) {
    const int64_t begin = items.row(block), end = begin + items.rows(block);
    for (int64_t row = begin; row < end; row += kRowGroup) down_rows(down, a, row, least(kRowGroup, end - row));
  };
  const auto product = [&](int64_t item) {
    float* y = all_y + items.row(items.block(item)) * c.ldy;
    times_packed(items, item, x, c.ldx, w, K, [&](int64_t first) {
      return AddBias{y, c.ldy, first == 0 ? c.linear->padded_bias : nullptr};
    });
  };
  const auto up_block = [&](int64_t block) {
    const int64_t begin = items.row(block);
    for (int32_t n = 0; n < c.module_count; ++n) {
      const LoraModule& module = c.modules[n];
      const float* s = static_cast<const float*>(module.s) + begin * module.lds;
      for (int64_t first = 0; first < module.rank; first += kDepth) {
        times_panels(items.rows(block), Rows{s + first, module.lds}, first, least(kDepth, module.rank - first), b.of[n], 0,
                     module.columns, AddTo{all_y + begin * c.ldy + module.first_column, c.ldy, true});
      }
    }
  };
  const Phase packing = phase(a.items + b.items, pack);
  const double work = operations(c.M, N, K);
  if (c.module_count == 0) return run_phases(work, phase(items.count(), product));
  if (items.parts > 1) {
    return run_phases(work, packing, phase(items.blocks, down_block), phase(items.count(), product),
                      phase(items.blocks, up_block));
  }
  const auto whole = [&](int64_t block) {
    down_block(block);
    product(block);
    up_block(block);
  };
  run_phases(work, packing, phase(items.blocks, whole));
}

void grad_input(const LinearGradInput& c) {
  const int64_t N = c.linear->N, K = c.linear->K;
  const float* dy = static_cast<const float*>(c.dy);
  float* all_dx = static_cast<float*>(c.dx);
  const LoraGradInput rest{c.M, K, c.modules, c.module_count, all_dx, c.lddx, true, nullptr};
  WorkspacePieces pieces(c.workspace);
  const Strips w(*c.linear, false, run_buffers(*c.linear, pieces));
  const ModulePanels a = carve_panels(pieces.floats(0), c.modules, c.module_count, K, false);
  const auto pack = [&](int64_t item) { pack_a(a, c.modules, K, false, item); };
  const Items items(c.M, K, kStrip, c.linear->by_runs());
  const auto product = [&](int64_t item) {
    float* dx = all_dx + items.row(items.block(item)) * c.lddx;
    times_packed(items, item, dy, c.lddy, w, N, [&](int64_t first) { return AddTo{dx, c.lddx, first > 0}; });
  };
  const auto add_block = [&](int64_t block) {
    const int64_t begin = items.row(block), end = begin + items.rows(block);
    for (int64_t row = begin; row < end; row += kRowGroup) grad_input_rows(rest, a, row, least(kRowGroup, end - row));
  };
  const Phase packing = phase(a.items, pack);
  const double work = operations(c.M, N, K);
  if (c.module_count == 0) return run_phases(work, phase(items.count(), product));
  if (items.parts > 1) return run_phases(work, packing, phase(items.count(), product), phase(items.blocks, add_block));
  const auto whole = [&](int64_t block) {
    product(block);
    add_block(block);
  };
  run_phases(work, packing, phase(items.blocks, whole));
}

/** Decoded as float32 for both types, and rounded as it is stored, so that bits are those of pp_dequantize. */
void decode_rows(const LinearRows& c) {
  pp_linear linear = *c.linear;
  linear.dtype = PP_FLOAT32;
  WorkspacePieces pieces(c.workspace);
  const Strips w(linear, false, run_buffers(linear, pieces));
  const int64_t begin = c.first / 2 * 2, end = c.first + c.count, K = linear.K, strips = (K + kStrip - 1) / kStrip;
  const int64_t runs = (end - begin + kMostRun - 1) / kMostRun;
  const auto store_run = [&](int64_t item, auto* to) {
    const int64_t column = item % strips * kStrip, columns = least(kStrip, K - column);
    const int64_t row = begin + item / strips * kMostRun, steps = least(kMostRun, end - row);
    const int64_t width = round_up(columns, kWidestVector);
    const float* values = w.run(column, width, row, steps);
    for (int64_t i = row < c.first ? 1 : 0; i < steps; ++i) {
      auto* own = to + (row + i - c.first) * c.ldto + column;
      for (int64_t j = 0; j < columns; j += kWidth) store(own + j, load(values + i * width + j), columns - j);
    }
  };
  const auto item = [&](int64_t number) {
    if (c.linear->dtype == PP_FLOAT32) {
      store_run(number, static_cast<float*>(c.to));
    } else {
      store_run(number, static_cast<Bfloat16*>(c.to));
    }
  };
  run_phases(32.0 * static_cast<double>(c.count) * static_cast<double>(K), phase(runs * strips, item));
}

}  // namespace

extern const LinearKernels linear_kernels;
const LinearKernels linear_kernels = {forward, grad_input, decode_rows};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
