// How the skinny products are cut into shares, which leave partial sums in slots: for their launchers, and for cost.h.
#pragma once

#include <algorithm>
#include <cstdint>

namespace prunepeft::cuda {
/** A dimension in equal shares, each a multiple of the tile. */
struct Split {
  int64_t shares;
  int64_t length;
};

inline Split split(int64_t length, int64_t tile, int64_t most_shares) {
  const auto divide_up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t share = divide_up(divide_up(length, std::max<int64_t>(most_shares, 1)), tile) * tile;
  return {divide_up(length, share), share};
}

/** Rows and columns of x that a block of the down product takes at a time. */
constexpr int64_t kDownRows = 64, kDownColumns = 64;
/** Blocks that fill today's devices a few times over. */
constexpr int64_t kDownBlocks = 512;
/** A share of K is worth a second stage from here on. */
constexpr int64_t kLeastShareColumns = 256;

inline Split split_columns(int64_t M, int64_t K) {
  const int64_t row_blocks = (M + kDownRows - 1) / kDownRows;
  return split(K, kDownColumns, std::min(kDownBlocks / row_blocks, K / kLeastShareColumns));
}

/** Columns and rows of G that a block of the gradient products takes at a time. */
constexpr int64_t kGradColumns = 128;
constexpr int64_t grad_tile_rows(int64_t element_bytes) {
  return element_bytes == 2 ? 64 : 32;
}
/**
 * Blocks that fill today's devices about twice. Those that make row products too leave the fewer slots the larger they are:
 * there is about one for each multiprocessor of an A100, which are enough to keep the memory of an H100 busy.
 */
constexpr int64_t kGradBlocks = 256, kGradRowBlocks = 104;

/** How G is shared out among the blocks of the gradient products. */
struct GradSplit {
  int64_t passes;  // of a block over its rows, each over kGradColumns columns more
  int64_t column_blocks;
  Split rows;

  int64_t blocks() const { return column_blocks * rows.shares; }
};

/** Fewer than this share of the blocks that are wanted leave multiprocessors idle. */
constexpr double kEnoughBlocks = 0.75;

inline GradSplit split_grad(int64_t element_bytes, int64_t M, int64_t N, bool with_rows) {
  const int64_t rows = grad_tile_rows(element_bytes), column_tiles = (N + kGradColumns - 1) / kGradColumns;
  const bool large = with_rows && element_bytes == 2;  // in float32 a block has no room for the passes' B
  const int64_t most_blocks = large ? kGradRowBlocks : kGradBlocks;
  const auto split_by = [&](int64_t passes) {
    const int64_t column_blocks = (column_tiles + passes - 1) / passes;
    return GradSplit{passes, column_blocks, split(M, rows, std::min(most_blocks / column_blocks, (M + rows - 1) / rows))};
  };
  // A block leaves as many sums as it has rows and columns, which are fewest where it is square.
  const auto fits = [&](int64_t passes) {
    const int64_t columns = passes * kGradColumns;
    return passes <= column_tiles && columns * columns <= M * N / most_blocks;
  };
  int64_t passes = 1;
  while (large && fits(passes + 1)) passes++;
  GradSplit best = split_by(passes);
  // Where there are more than half as many blocks of columns as blocks, the rows are not shared: longer ones let them be.
  const auto enough = [&] { return static_cast<double>(best.blocks()) >= kEnoughBlocks * static_cast<double>(most_blocks); };
  for (int64_t more = passes + 1; large && !enough() && more <= std::min(passes + passes / 2 + 1, column_tiles); more++)
    if (const GradSplit other = split_by(more); other.blocks() > best.blocks()) best = other;
  return best;
}
}  // namespace prunepeft::cuda
