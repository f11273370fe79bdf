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

/** Columns of G that a block of the gradient products takes, and its rows at a time. */
constexpr int64_t kGradColumns = 128;
constexpr int64_t grad_tile_rows(int64_t element_bytes) {
  return element_bytes == 2 ? 64 : 32;
}
/** Blocks that fill today's devices about twice. */
constexpr int64_t kGradBlocks = 256;

inline Split split_rows(int64_t element_bytes, int64_t M, int64_t N) {
  const int64_t column_blocks = (N + kGradColumns - 1) / kGradColumns, rows = grad_tile_rows(element_bytes);
  return split(M, rows, std::min(kGradBlocks / column_blocks, (M + rows - 1) / rows));
}
}  // namespace prunepeft::cuda
