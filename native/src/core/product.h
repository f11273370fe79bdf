// The products of all families, as one register-blocked microkernel over two kinds of operands.
//
// Every product here has a small operand (A, B, D or U; or S, dS, z of a block of rows) and a large one that streams past (x,
// dY). The small one lies in `Panels`: strips of two vectors' width, the inner dimension running down a strip, padded with
// zeros, so that a kernel reads it with whole vectors and in order. The large one is read where it lies, one element at a time,
// broadcast: as rows (`Rows`: S = x Aᵀ, y = S Bᵀ) or transposed (`Columns`: dB = dYᵀ S). A tile of kTileRows x 2 vectors stays
// in registers while the inner dimension runs, at most kDepth of it; longer sums are cut there and joined in memory, which also
// keeps the rounding error of float32 sums small. An element's sum runs in the same order whatever the tile it falls in, so
// that results do not depend on how rows are shared out.
//
// An element is a float, or two bfloat16 that are neighbours along the inner dimension (pairs.h): then the inner dimension
// counts pairs, and a multiply-add adds two products. What an operand's elements are, the large one's type says.
//
// Limit: two fused multiply-adds a cycle. A tile step loads 2 vectors and 12 broadcasts for 24 of them (AVX-512).
#pragma once

#include "core/simd.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Vectors of a panel's width. */
constexpr int kPanelVectors = 2;
constexpr int kPanel = kPanelVectors * kWidth;
/** The longest run of the inner dimension that is summed in registers; also the columns of a block. */
constexpr int64_t kDepth = 256;
/** Rows that are worked on together: whole tiles of each instruction set. */
constexpr int64_t kRowGroup = kTiles ? 32 : 12;

/** Rows of a tile: accumulators, one row of the panel and one broadcast fill the registers. */
template <int kVectors>
constexpr int kTileRows = kRegisters == 32 ? (kVectors <= 2 ? 12 : 24 / kVectors) : (kVectors == 1 ? 12 : 6);

/** The large operand, element (i, k) at p[i * ld + k]. */
struct Rows {
  const float* p;
  int64_t ld;
  PP_INLINE Vec spread(int64_t i, int64_t k) const { return broadcast(load_one(p + i * ld + k)); }
  static PP_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
  PP_INLINE Rows from(int64_t i) const { return {p + i * ld, ld}; }
  PP_INLINE Rows skip(int64_t k) const { return {p + k, ld}; }
};

/** The large operand transposed, element (i, k) at p[k * ld + i]. */
struct Columns {
  const float* p;
  int64_t ld;
  PP_INLINE Vec spread(int64_t i, int64_t k) const { return broadcast(load_one(p + k * ld + i)); }
  static PP_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
  PP_INLINE Columns from(int64_t i) const { return {p + i, ld}; }
};

/** The small operand, `depth` x `columns`, in panels; the last one is one vector wide if that is enough. */
struct Panels {
  const float* p;
  int64_t depth;
  int64_t columns;
};

/**
 * What becomes of a sum in most products: result(i, j) = scale·((adds ? result(i, j) : 0) + sum). A value, not references: what
 * a tile's end needs must be known not to change by the stores themselves.
 */
struct AddTo {
  float* result;
  int64_t ld;
  bool adds;
  float scale = 1.0f;
  PP_INLINE void operator()(int64_t i, int64_t j, int64_t n, Vec sum) const {
    float* to = result + i * ld + j;
    if (adds) sum += load(to, n);
    store(to, sum * scale, n);
  }
};

/** AddTo for rows that have room for whole vectors. */
struct Whole {
  AddTo to;
  PP_INLINE void operator()(int64_t i, int64_t j, int64_t, Vec sum) const { to(i, j, kWidth, sum); }
};

static PP_INLINE int64_t padded(int64_t columns) {
  return round_up(columns, kWidth);
}

/** Vectors of the panel that begins at `column`. */
static PP_INLINE int panel_vectors(int64_t columns, int64_t column) {
  return columns - column > kWidth ? 2 : 1;
}

/** A strip of the small operand as a tile meets it: where it begins, its rows' distance, and which result columns it makes. */
struct Strip {
  const float* p;
  int64_t step;
  int64_t column;
  /** Columns that the result has from `column` on. */
  int64_t valid;
};

/**
 * Σ_k large(i, k)·strip(k, j) for kRows rows and a strip of kVectors vectors, handed to finish(row + i, column, valid, sum)
 * vector by vector; `valid` columns of it exist (it may exceed kWidth).
 */
template <int kRows, int kVectors, class Large, class Finish>
static PP_INLINE void tile(int64_t row, const Large& large, int64_t depth, const Strip& strip, const Finish& finish) {
  Vec sums[kRows][kVectors] = {};
  // Unrolled, the counting and the compiler's spilled addresses weigh less: 5 to 10 % were gained.
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; ++k) {
    Vec b[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) b[v] = load(strip.p + k * strip.step + v * kWidth);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const Vec a = large.spread(i, k);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[i][v] = Large::multiply_add(a, b[v], sums[i][v]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) finish(row + i, strip.column + v * kWidth, strip.valid - v * kWidth, sums[i][v]);
  }
}

/** As many tiles of kRows rows as fit between `row` and `rows`; returns the first row that is left. */
template <int kRows, int kVectors, class Large, class Finish>
static PP_INLINE int64_t tiles_of(int64_t row, int64_t rows, const Large& large, int64_t depth, const Strip& strip,
                                  const Finish& finish) {
  for (; rows - row >= kRows; row += kRows) tile<kRows, kVectors>(row, large.from(row), depth, strip, finish);
  return row;
}

/** One strip against any number of rows. */
template <int kVectors, class Large, class Finish>
static PP_INLINE void times_strip(int64_t rows, const Large& large, int64_t depth, const Strip& strip, const Finish& finish) {
  int64_t row = tiles_of<kTileRows<kVectors>, kVectors>(0, rows, large, depth, strip, finish);
  if constexpr (8 < kTileRows<kVectors>) row = tiles_of<8, kVectors>(row, rows, large, depth, strip, finish);
  row = tiles_of<4, kVectors>(row, rows, large, depth, strip, finish);
  row = tiles_of<2, kVectors>(row, rows, large, depth, strip, finish);
  tiles_of<1, kVectors>(row, rows, large, depth, strip, finish);
}

/**
 * A strip that is wider than a panel, `columns` of it in rows of `step`, against any number of rows, in as wide tiles as the
 * registers hold: their columns are numbered from `column` on.
 */
template <class Large, class Finish>
static PP_INLINE void times_wide_strip(int64_t rows, const Large& large, int64_t depth, const float* strip, int64_t step,
                                       int64_t column, int64_t columns, const Finish& finish) {
  constexpr int kVectors = kRegisters == 32 ? 4 : 2;
  for (int64_t j = 0; j < columns; j += kVectors * kWidth) {
    const Strip part{strip + j, step, column + j, columns - j};
    const int64_t vectors = least(kVectors, (part.valid + kWidth - 1) / kWidth);
    if (vectors == 1) {
      times_strip<1>(rows, large, depth, part, finish);
    } else if (vectors == 2) {
      times_strip<2>(rows, large, depth, part, finish);
    } else if constexpr (kVectors == 4) {
      if (vectors == 3) {
        times_strip<3>(rows, large, depth, part, finish);
      } else {
        times_strip<4>(rows, large, depth, part, finish);
      }
    }
  }
}

/**
 * Σ large(i, k - first)·small(k, j) over k in [first, first + depth), for columns [begin, end), whole panels, handed to
 * `finish` as a tile does.
 */
template <class Large, class Finish>
static PP_INLINE void times_panels(int64_t rows, const Large& large, int64_t first, int64_t depth, const Panels& small,
                                   int64_t begin, int64_t end, const Finish& finish) {
  for (int64_t j = begin; j < end; j += kPanel) {
    const float* panel = small.p + j * small.depth;
    const int64_t valid = small.columns - j;
    if (panel_vectors(small.columns, j) == 2) {
      times_strip<2>(rows, large, depth, {panel + first * kPanel, kPanel, j, valid}, finish);
    } else {
      times_strip<1>(rows, large, depth, {panel + first * kWidth, kWidth, j, valid}, finish);
    }
  }
}

/**
 * Σ large(i, k)·small[k * step + j] over k in [0, depth), where `small` lies in rows of `step` floats, padded with zeros to
 * whole vectors, and so does the result.
 */
template <class Large, class Finish>
static PP_INLINE void times_rows(int64_t rows, const Large& large, int64_t depth, const float* small, int64_t step,
                                 int64_t columns, const Finish& finish) {
  for (int64_t j = 0; j < columns; j += kPanel) {
    if (panel_vectors(columns, j) == 2) {
      times_strip<2>(rows, large, depth, {small + j, step, j, kPanel}, finish);
    } else {
      times_strip<1>(rows, large, depth, {small + j, step, j, kWidth}, finish);
    }
  }
}

/** Floats of a packed operand. */
static PP_INLINE int64_t panel_floats(int64_t depth, int64_t columns) {
  return depth * padded(columns);
}

/** Packing is shared out in items of one panel and kDepth of its depth. */
static PP_INLINE int64_t pack_items(int64_t depth, int64_t columns) {
  return ((columns + kPanel - 1) / kPanel) * ((depth + kDepth - 1) / kDepth);
}

/** Packs small(k, j) = source[k * ld + j]. */
static inline void pack_straight(int64_t item, const float* source, int64_t ld, int64_t depth, int64_t columns, float* panels) {
  const int64_t blocks = (depth + kDepth - 1) / kDepth;
  const int64_t column = item / blocks * kPanel, first = item % blocks * kDepth, last = least(first + kDepth, depth);
  const int vectors = panel_vectors(columns, column);
  float* to = panels + column * depth + first * vectors * kWidth;
  for (int64_t k = first; k < last; ++k) {
    for (int v = 0; v < vectors; ++v, to += kWidth) {
      const int64_t j = column + v * kWidth;
      store(to, load(source + k * ld + j, columns - j));
    }
  }
}

/** Packs small(k, j) = source[j * ld + k]. */
static inline void pack_transposed(int64_t item, const float* source, int64_t ld, int64_t depth, int64_t columns,
                                   float* panels) {
  const int64_t blocks = (depth + kDepth - 1) / kDepth;
  const int64_t column = item / blocks * kPanel, first = item % blocks * kDepth, run = least(kDepth, depth - first);
  const int64_t width = panel_vectors(columns, column) * kWidth, valid = least(width, columns - column);
  float* to = panels + column * depth + first * width;
  transpose_words(valid, run, source + column * ld + first, ld * int64_t{sizeof(float)}, to, width);
  for (int64_t k = 0; k < run && valid < width; ++k) {
    memset(to + k * width + valid, 0, static_cast<size_t>(width - valid) * sizeof(float));
  }
}

/** Copies `rows` rows of `columns` floats into rows of `step` floats, padded with zeros to whole vectors. */
static PP_INLINE void copy_padded(int64_t rows, int64_t columns, const float* source, int64_t ld, float* to, int64_t step) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += kWidth) store(to + i * step + j, load(source + i * ld + j, columns - j));
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
