// Products of pairs in tile registers, which are instruction set amx; pairs.h has them for the others.
//
// A block of 32 rows and 32 columns of sums takes four registers, two of rows and two of columns the rest. A step of 16 pairs
// loads four registers for four multiplications of 16 x 16 x 16 pairs. The rows are loaded where they lie, the columns from
// strips as they are packed for every instruction set: a row of a strip is a row of a register. At the edges, rows and pairs
// that do not exist are zeros in a copy, so that nothing beyond an operand is read and an element's sum runs in the same order
// whatever block it falls in.
//
// Its sizes rest on reasoning alone: docs/testing.md (AMX without AMX) says what it has run on.
#pragma once

#include "core/pairs.h"

#if defined(PRUNEPEFT_EMULATED_TILES)
#include "tiles/emulated_registers.h"
#elif defined(PRUNEPEFT_TILES)
#include "core/tile_registers.h"
#endif

namespace prunepeft {
namespace PRUNEPEFT_ISA {

#if defined(PRUNEPEFT_TILES)

/** Rows of a register, and pairs or sums of its row. */
constexpr int64_t kTileSize = 16;
constexpr int64_t kBlockSize = 2 * kTileSize;
static_assert(kWidth == kTileSize, "a vector is a register's row");
static_assert(kRowGroup % kBlockSize == 0, "only the last rows of all are at an edge");

/** What LDTILECFG reads: palette 1 has registers 0 to 7. */
struct TileConfiguration {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(TileConfiguration) == 64, "the processor's layout");

/** The calling thread's tile registers, all of full size, while it lives. */
class TileRegisters {
 public:
  TileRegisters() {
    TileConfiguration shapes = {};
    shapes.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      shapes.row_bytes[tile] = 4 * kTileSize;
      shapes.rows[tile] = kTileSize;
    }
    tile_configure(shapes);
  }
  TileRegisters(const TileRegisters&) = delete;
  ~TileRegisters() { tile_release(); }
};

/** Copies rows of so many bytes into a block of `size` rows of `row_bytes`; the rest of it is zeros. */
static inline void copy_edge(int64_t rows, int64_t bytes, const void* from, int64_t stride, void* to, int64_t size,
                             int64_t row_bytes) {
  memset(to, 0, static_cast<size_t>(size * row_bytes));
  for (int64_t i = 0; i < rows; ++i) {
    memcpy(static_cast<char*>(to) + i * row_bytes, static_cast<const char*>(from) + i * stride, static_cast<size_t>(bytes));
  }
}

/** At most kBlockSize rows and columns; `row` is the number of the first. Operands are values, so that they stay in registers.
 */
template <class Large, class Finish>
static void tile_block(int64_t row, int64_t rows, Large large, int64_t depth, Strip strip, bool wide, Finish finish) {
  constexpr int64_t kElements = 2 * kTileSize, kRowBytes = 4 * kTileSize, kHalf = kTileSize * kBlockSize;
  alignas(64) uint16_t edge_rows[kBlockSize * kElements];
  alignas(64) float edge_columns[kTileSize * kBlockSize];
  alignas(64) float sums[kBlockSize * kBlockSize];
  const bool tall = rows > kTileSize, whole_rows = rows % kTileSize == 0;
  tile_zero<0>();
  tile_zero<1>();
  tile_zero<2>();
  tile_zero<3>();
  for (int64_t k = 0; k < depth; k += kTileSize) {
    const Bfloat16* a = large.p + 2 * k;
    const float* b = strip.p + k * strip.step;
    int64_t a_stride = large.ld * static_cast<int64_t>(sizeof *a), b_stride = strip.step * static_cast<int64_t>(sizeof *b);
    const int64_t elements = large.elements(depth) - 2 * k;
    if (!whole_rows || elements < kElements) {
      copy_edge(rows, 2 * least(elements, kElements), a, a_stride, edge_rows, kBlockSize, kRowBytes);
      a = edge_rows;
      a_stride = kRowBytes;
    }
    if (depth - k < kTileSize) {
      copy_edge(depth - k, wide ? 2 * kRowBytes : kRowBytes, b, b_stride, edge_columns, kTileSize, 2 * kRowBytes);
      b = edge_columns;
      b_stride = 2 * kRowBytes;
    }
    tile_load<6>(b, b_stride);
    tile_load<4>(a, a_stride);
    tile_multiply_pairs<0, 4, 6>();
    if (wide) {
      tile_load<7>(b + kTileSize, b_stride);
      tile_multiply_pairs<1, 4, 7>();
    }
    if (tall) {
      tile_load<5>(a + kTileSize * a_stride / 2, a_stride);
      tile_multiply_pairs<2, 5, 6>();
      if (wide) tile_multiply_pairs<3, 5, 7>();
    }
  }
  tile_store<0>(sums, 2 * kRowBytes);
  tile_store<1>(sums + kTileSize, 2 * kRowBytes);
  tile_store<2>(sums + kHalf, 2 * kRowBytes);
  tile_store<3>(sums + kHalf + kTileSize, 2 * kRowBytes);
  for (int64_t i = 0; i < rows; ++i) {
    const float* of_row = sums + i * kBlockSize;
    finish(row + i, strip.column, strip.valid, load(of_row));
    if (wide) finish(row + i, strip.column + kWidth, strip.valid - kWidth, load(of_row + kWidth));
  }
}

template <int kVectors, class Large, class Finish>
static PP_INLINE void times_strip_in_tiles(int64_t rows, const Large& large, int64_t depth, const Strip& strip,
                                           const Finish& finish) {
  // Down the rows first: the strip's part then stays in the first cache.
  for (int v = 0; v < kVectors; v += 2) {
    const Strip part{strip.p + v * kWidth, strip.step, strip.column + v * kWidth, strip.valid - v * kWidth};
    for (int64_t row = 0; row < rows; row += kBlockSize) {
      tile_block(row, least(kBlockSize, rows - row), large.from(row), depth, part, kVectors - v > 1, finish);
    }
  }
}

// What product.h calls for operands of these types: a better match than its own template.
template <int kVectors, class Finish>
static PP_INLINE void times_strip(int64_t rows, const PairRows& large, int64_t depth, const Strip& strip,
                                  const Finish& finish) {
  times_strip_in_tiles<kVectors>(rows, large, depth, strip, finish);
}
template <int kVectors, class Finish>
static PP_INLINE void times_strip(int64_t rows, const OddPairRows& large, int64_t depth, const Strip& strip,
                                  const Finish& finish) {
  times_strip_in_tiles<kVectors>(rows, large, depth, strip, finish);
}

#else

class TileRegisters {
 public:
  TileRegisters() {}
};

#endif

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
