// A frozen linear with LoRA on the CPU, bfloat16; compiled once for each instruction set.
//
//   forward     S = s·D(x) Aᵀ; y = x Wᵀ + b + S Bᵀ
//   grad_input  dX = dY W + Σ Dᵀ(dS A)
//
// Activations, W and b are bfloat16; A, B and S are the trained weights' float32, rounded as they are packed. A block of rows
// makes a strip of y at a time: all sums of the strip, W's and the modules', add up in a float32 block that stays in the
// nearest caches, and each element of y is rounded once. B and A are packed by the strips of the result, so that a module's
// part is a product of the same kind with a short inner dimension.
//
// Limit: one multiply-add of pairs a cycle. A tile's step loads 4 vectors and 6 broadcasts for 24 of them. With AMX, one
// multiplication of tile registers in 16 cycles.
#include "core/tiles.h"
#include "core/workspace.h"
#include "linear/cpu/linear_rows.h"
#include "linear/plan.h"
#include "linear/cpu/lora_pair_rows.h"
#include "linear/cpu/strips.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** The inner dimension of one pass over a strip, in pairs: its part of W stays in the second cache. With tiles half of it, 32
 * columns, stays in the first.
 */
constexpr int64_t kRun = kTiles ? 256 : 384;
static_assert(kRun <= kMostRun && kRun % 2 == 0, "a run fits its buffer");
/** The pairs of a rank are padded with zeros to a multiple of it. */
constexpr int64_t kPairStep = kTiles ? kWidestPairs : 1;

/** Sums of one item's rows in a strip. */
struct Block {
  alignas(kCacheLine) float sums[kMostRows * kStrip];
};

/**
 * sums += rows·strip, or = where nothing was added yet; the inner dimension counts pairs, and `run(first, steps)` is where
 * steps of the strip lie.
 */
template <class Large, class Run>
void add_product(int64_t rows, const Large& large, int64_t depth, const Run& run, int64_t step, int64_t width, Block& block,
                 bool adds) {
  for (int64_t first = 0; first < depth; first += kRun) {
    const int64_t steps = least(kRun, depth - first);
    times_wide_strip(rows, large.skip(first), steps, run(first, steps), step, 0, width,
                     AddTo{block.sums, kStrip, adds || first > 0});
  }
}

/** The same with a strip of a module. */
void add_module(int64_t rows, const PairRows& large, int64_t depth, const float* strip, int64_t width, Block& block) {
  add_product(
      rows, large, depth, [&](int64_t first, int64_t) { return strip + first * kStrip; }, kStrip, width, block, true);
}

/** The product with W, the first of a strip's sums. */
void start_strip(int64_t rows, const Bfloat16* large, int64_t ld, int64_t depth, const Strips& w, int64_t column, int64_t width,
                 Block& block) {
  const auto run = [&](int64_t first, int64_t steps) { return w.run(column, width, first, steps); };
  with_pair_rows(large, ld, depth,
                 [&](const auto& pairs_of) { add_product(rows, pairs_of, pairs(depth), run, width, width, block, false); });
}

/** Rounds a strip into the result, plus a bias if there is one. */
void finish_strip(int64_t rows, int64_t columns, const Block& block, const float* bias, Bfloat16* to, int64_t ld) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += kWidth) {
      Vec sum = load(block.sums + i * kStrip + j);
      if (bias != nullptr) sum += load(bias + j);
      store(to + i * ld + j, sum, columns - j);
    }
  }
}

int64_t strip_width(int64_t columns, int64_t column) {
  return round_up(least(kStrip, columns - column), kWidestVector);
}

/** What the workspace holds of a module. */
struct RoundedModule {
  const LoraModule* given;
  int64_t rank_pairs;
  /** Forward: A in panels. */
  Panels a;
  float* a_floats;
  /** B or A by strips of the result, from strip number `first_strip` on. */
  float* strips;
  int64_t first_strip, strip_count;
  /** S or dS, rounded, in rows of 2·rank_pairs. */
  Bfloat16* s;

  const float* strip(int64_t number) const {
    return number < first_strip || number >= first_strip + strip_count ? nullptr
                                                                       : strips + (number - first_strip) * kStrip * rank_pairs;
  }
  PairRows rounded(int64_t row) const { return {s + row * 2 * rank_pairs, 2 * rank_pairs}; }
};

int64_t rank_pairs(int64_t rank) {
  return round_up(pairs(rank), kPairStep);
}

/** Rounds rows of S or dS into the module's, from row number `row` on. */
void round_module(const RoundedModule& module, int64_t row, int64_t rows, const float* s) {
  const int64_t rank = module.given->rank, step = 2 * module.rank_pairs;
  Bfloat16* to = module.s + row * step;
  round_rows(rows, rank, s, module.given->lds, to, step);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 2 * pairs(rank); j < step; ++j) to[i * step + j] = 0;
  }
}

/** Fills a strip whose element (k, j) is value(k, column + j), 0 where the column or k does not exist. */
template <class Value>
void pack_strip(int64_t column, int64_t columns, int64_t depth, float* to, const Value& value) {
  for (int64_t k = 0; k < 2 * rank_pairs(depth); k += 2) {
    for (int64_t j = 0; j < kStrip; j += kWidth, to += kWidth) {
      Vec low = {}, high = {};
      for (int64_t lane = 0; lane < kWidth; ++lane) {
        const int64_t at = column + j + lane;
        if (at < 0 || at >= columns || k >= depth) continue;
        low[lane] = value(k, at);
        if (k + 1 < depth) high[lane] = value(k + 1, at);
      }
      store(to, pair(low, high));
    }
  }
}

/** S of a row group, in float32 and rounded. */
void down_rows(const LinearForward& c, const RoundedModule& module, int64_t row, int64_t rows) {
  const LoraModule& given = *module.given;
  const int64_t K = c.linear->K;
  const Bfloat16* x = static_cast<const Bfloat16*>(c.x);
  float* s = static_cast<float*>(given.s) + row * given.lds;
  alignas(kCacheLine) uint16_t masked[kRowGroup * kDepth];
  for (int64_t first = 0; first < K; first += kDepth) {
    const int64_t depth = least(kDepth, K - first);
    const bool ends = first + depth == K;
    const AddTo to{s, given.lds, first > 0, ends ? given.scale * given.mask.keep_scale : 1.0f};
    const auto product = [&](const auto& large) {
      times_panels(rows, large, first / 2, pairs(depth), module.a, 0, given.rank, to);
    };
    if (given.mask.threshold != 0) {
      mask_rows(given, K, {row, rows, first, depth}, x, c.ldx, masked);
      product(PairRows{masked, kDepth});
    } else {
      with_pair_rows(x + row * c.ldx + first, c.ldx, depth, product);
    }
  }
  round_module(module, row, rows, s);
}

/** After both phases of packing: `prepare(block)` for each block of rows, and then `product(item)` for its items. */
template <class Prepare, class Product>
void run_blocks(double operations, const Items& items, const Phase& packing, const Phase& more_packing, const Prepare& prepare,
                const Product& product) {
  const auto prepare_block = [&](int64_t block) {
    const TileRegisters registers;
    prepare(block);
  };
  const auto one_item = [&](int64_t item) {
    const TileRegisters registers;
    product(item);
  };
  const auto whole_block = [&](int64_t block) {
    const TileRegisters registers;
    prepare(block);
    product(block);
  };
  if (items.parts == 1) return run_phases(operations, packing, more_packing, phase(items.blocks, whole_block));
  run_phases(operations, packing, more_packing, phase(items.blocks, prepare_block), phase(items.count(), one_item));
}

void forward(const LinearForward& c) {
  const int64_t N = c.linear->N, K = c.linear->K;
  WorkspacePieces pieces(c.workspace);
  const Strips w(*c.linear, true, run_buffers(*c.linear, pieces));
  RoundedModule modules[kMostModulesOfARow];
  int64_t a_items = 0, b_items = 0;
  for (int32_t n = 0; n < c.module_count; ++n) {
    const LoraModule& given = c.modules[n];
    RoundedModule& module = modules[n];
    module.given = &given;
    module.rank_pairs = rank_pairs(given.rank);
    module.a_floats = pieces.floats(pairs(K), round_up(given.rank, kWidestVector));
    module.a = {module.a_floats, pairs(K), given.rank};
    module.first_strip = given.first_column / kStrip;
    module.strip_count = (given.first_column + given.columns - 1) / kStrip - module.first_strip + 1;
    module.strips = pieces.floats((given.columns + 2 * kStrip - 2) / kStrip * kStrip, module.rank_pairs);
    module.s = static_cast<Bfloat16*>(pieces.bytes(c.M, module.rank_pairs, 2 * sizeof(Bfloat16)));
    a_items += pack_items(pairs(K), given.rank);
    b_items += module.strip_count;
  }
  const auto pack_a = [&](int64_t item) {
    const RoundedModule* module = modules;
    for (int64_t own; item >= (own = pack_items(module->a.depth, module->a.columns)); ++module) item -= own;
    pack_pairs_transposed(item, static_cast<const float*>(module->given->a), module->given->lda, K, module->given->rank,
                          module->a_floats);
  };
  const auto pack_b = [&](int64_t item) {
    const RoundedModule* module = modules;
    for (; item >= module->strip_count; ++module) item -= module->strip_count;
    const LoraModule& given = *module->given;
    const float* b = static_cast<const float*>(given.b);
    pack_strip((module->first_strip + item) * kStrip - given.first_column, given.columns, given.rank,
               module->strips + item * kStrip * module->rank_pairs,
               [&](int64_t k, int64_t column) { return load_one(b + column * given.ldb + k); });
  };
  const Items items(c.M, N, kStrip, c.linear->by_runs());
  const auto down_block = [&](int64_t block) {
    const int64_t begin = items.row(block), end = begin + items.rows(block);
    for (int64_t row = begin; row < end; row += kRowGroup) {
      for (int32_t n = 0; n < c.module_count; ++n) down_rows(c, modules[n], row, least(kRowGroup, end - row));
    }
  };
  const auto product = [&](int64_t item) {
    const int64_t begin = items.row(items.block(item)), rows = items.rows(items.block(item));
    const Bfloat16* x = static_cast<const Bfloat16*>(c.x) + begin * c.ldx;
    Bfloat16* y = static_cast<Bfloat16*>(c.y) + begin * c.ldy;
    Block block;
    for (int64_t column = items.first_column(item); column < items.last_column(item); column += kStrip) {
      const int64_t width = strip_width(N, column);
      start_strip(rows, x, c.ldx, K, w, column, width, block);
      for (int32_t n = 0; n < c.module_count; ++n) {
        const float* strip = modules[n].strip(column / kStrip);
        if (strip == nullptr) continue;
        add_module(rows, modules[n].rounded(begin), modules[n].rank_pairs, strip, width, block);
      }
      finish_strip(rows, least(kStrip, N - column), block, c.linear->padded_bias + column, y + column, c.ldy);
    }
  };
  run_blocks(operations(c.M, N, K), items, phase(a_items, pack_a), phase(b_items, pack_b), down_block, product);
}

/** A block of rows' masks of one module, kDepth columns of them. */
struct ItemMask {
  MaskBlock groups[kMostRows / kRowGroup];

  void draw(const LoraModule& module, int64_t K, int64_t row, int64_t rows, int64_t column) {
    for (int64_t i = 0; i < rows; i += kRowGroup) {
      groups[i / kRowGroup].draw(module, K, {row + i, least(kRowGroup, rows - i), column, least(kDepth, K - column)});
    }
  }
};

void grad_input(const LinearGradInput& c) {
  static_assert(kDepth % kStrip == 0, "a drawn mask holds whole strips");
  const int64_t N = c.linear->N, K = c.linear->K;
  WorkspacePieces pieces(c.workspace);
  const Strips w(*c.linear, false, run_buffers(*c.linear, pieces));
  RoundedModule modules[kMostModulesOfARow];
  const int64_t strip_count = (K + kStrip - 1) / kStrip;
  for (int32_t n = 0; n < c.module_count; ++n) {
    RoundedModule& module = modules[n];
    module.given = c.modules + n;
    module.rank_pairs = rank_pairs(module.given->rank);
    module.first_strip = 0;
    module.strip_count = strip_count;
    module.strips = pieces.floats(strip_count * kStrip, module.rank_pairs);
    module.s = static_cast<Bfloat16*>(pieces.bytes(c.M, module.rank_pairs, 2 * sizeof(Bfloat16)));
  }
  const auto pack = [&](int64_t item) {
    const RoundedModule& module = modules[item / strip_count];
    const int64_t number = item % strip_count;
    const float* a = static_cast<const float*>(module.given->a);
    pack_strip(number * kStrip, K, module.given->rank, module.strips + number * kStrip * module.rank_pairs,
               [&](int64_t k, int64_t column) { return load_one(a + k * module.given->lda + column); });
  };
  // A drawn mask is for kDepth columns.
  const Items items(c.M, K, kDepth, c.linear->by_runs());
  const auto round_block = [&](int64_t block) {
    const int64_t begin = items.row(block);
    for (int32_t n = 0; n < c.module_count; ++n) {
      const LoraModule& given = *modules[n].given;
      round_module(modules[n], begin, items.rows(block), static_cast<const float*>(given.s) + begin * given.lds);
    }
  };
  const auto product = [&](int64_t item) {
    const int64_t begin = items.row(items.block(item)), rows = items.rows(items.block(item));
    const Bfloat16* dy = static_cast<const Bfloat16*>(c.dy) + begin * c.lddy;
    Bfloat16* dx = static_cast<Bfloat16*>(c.dx) + begin * c.lddx;
    Block block;
    ItemMask drawn[kMostModulesOfARow];
    for (int64_t column = items.first_column(item); column < items.last_column(item); column += kStrip) {
      const int64_t width = strip_width(K, column), in_mask = column % kDepth;
      start_strip(rows, dy, c.lddy, N, w, column, width, block);
      for (int32_t n = 0; n < c.module_count; ++n) {
        const RoundedModule& module = modules[n];
        const float* strip = module.strip(column / kStrip);
        const DropoutMask& mask = module.given->mask;
        if (mask.threshold == 0) {
          add_module(rows, module.rounded(begin), module.rank_pairs, strip, width, block);
          continue;
        }
        if (in_mask == 0) drawn[n].draw(*module.given, K, begin, rows, column);
        for (int64_t i = 0; i < rows; i += kRowGroup) {
          const AddTo to{block.sums + i * kStrip, kStrip, true};
          for (int64_t first = 0; first < module.rank_pairs; first += kRun) {
            times_wide_strip(least(kRowGroup, rows - i), module.rounded(begin + i).skip(first),
                             least(kRun, module.rank_pairs - first), strip + first * kStrip, kStrip, 0, width,
                             AddMaskedTo{to, drawn[n].groups[i / kRowGroup].bits, -in_mask, mask.keep_scale});
          }
        }
      }
      finish_strip(rows, least(kStrip, K - column), block, nullptr, dx + column, c.lddx);
    }
  };
  run_blocks(operations(c.M, N, K), items, phase(strip_count * c.module_count, pack), phase(0, pack), round_block, product);
}

}  // namespace

extern const LinearKernels linear_bf16_kernels;
const LinearKernels linear_bf16_kernels = {forward, grad_input, nullptr};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
