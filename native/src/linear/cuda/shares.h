// How the skinny products are cut into shares, which leave partial sums in slots, and stacks of modules into chunks; which
// shared memory the gradient products take: for their launchers, and for cost.h.
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

/** Up to 80 ranks: two modules of rank 32 or an adapter of 64 with its bias need the wide matrix once. */
constexpr int kChunkTiles = 5;

/**
 * How many chunks of so many tiles of ranks, but for the last of a stack, end amid a module: it then has ranks, and its mask is
 * drawn, in one chunk more. `first_tile(i)` is that of module i.
 */
template <class FirstTile>
constexpr int64_t modules_cut(int64_t length, int64_t tiles, int modules, FirstTile first_tile) {
  int64_t cut = tiles < 1 ? 0 : (tiles - 1) / length;
  for (int i = 1; i < modules; i++) cut -= first_tile(i) % length == 0;
  return cut;
}

/** Tiles of a chunk: of the lengths that make no chunk more than the longest does, the one that cuts fewest modules. */
template <class FirstTile>
constexpr int64_t chunk_length(int64_t tiles, int modules, FirstTile first_tile) {
  int64_t best = kChunkTiles;
  const auto chunks = [&](int64_t length) { return (tiles + length - 1) / length; };
  for (int64_t length = kChunkTiles - 1; length > 0 && chunks(length) == chunks(kChunkTiles); length--)
    if (modules_cut(length, tiles, modules, first_tile) < modules_cut(best, tiles, modules, first_tile)) best = length;
  return best;
}

template <class FirstTile>
constexpr int64_t least_modules_cut(int64_t tiles, int modules, FirstTile first_tile) {
  return modules_cut(chunk_length(tiles, modules, first_tile), tiles, modules, first_tile);
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

/** What a block may have of shared memory on the smallest of our devices, sm_86. */
constexpr int64_t kLeastSharedBytes = 99 * 1024;
/** Of a block of the gradient products, 16 bits and float32 apart: tiles of B, side by side; that of a pass and of the next. */
constexpr int grad_passes_of_b(int64_t element_bytes) {
  return element_bytes == 2 ? 2 : 1;
}
/** Blocks that a multiprocessor is to have. Given to the compiler, which else spills to reach more. */
constexpr int grad_blocks_per_processor(int64_t element_bytes, bool with_rows) {
  return element_bytes == 2 && !with_rows ? 2 : 1;
}
/** Words of a rank tile's masks: one for two rows and 16 columns. */
constexpr int64_t grad_mask_words(int64_t element_bytes) {
  return kGradColumns / 16 * grad_tile_rows(element_bytes) / 2;
}

/**
 * Shared memory of a block with so many tiles of G in its ring, each with `tiles` of ranks. `row_tiles`: those that row
 * products are wanted for. A tile's rows are 16 bytes longer than what they hold.
 */
constexpr int64_t grad_shared_bytes(int64_t element_bytes, int stages, int tiles, int row_tiles, bool dropout) {
  constexpr int64_t kRankTile = 16, kPadding = 16, kMaskWord = 4;
  const int64_t rows = grad_tile_rows(element_bytes);
  const auto row_bytes = [&](int64_t columns) { return columns * element_bytes + kPadding; };
  const int64_t g_and_p = rows * (row_bytes(kGradColumns) + row_bytes(tiles * kRankTile));
  const int64_t b = row_tiles > 0 ? kGradColumns * row_bytes(grad_passes_of_b(element_bytes) * row_tiles * kRankTile) : 0;
  const int64_t masks = dropout ? tiles * grad_mask_words(element_bytes) * kMaskWord : 0;
  return stages * (g_and_p + masks) + b;
}

/** Tiles in the ring of a block that has at most so many bytes; without row products another one stands beside it. */
constexpr int kGradMostStages = 4;
constexpr int grad_stages(int64_t element_bytes, int tiles, int row_tiles, bool dropout, int64_t most_bytes) {
  int stages = row_tiles > 0 ? kGradMostStages : kGradMostStages - 1;
  while (stages > 2 && grad_shared_bytes(element_bytes, stages, tiles, row_tiles, dropout) > most_bytes) stages--;
  return stages;
}

/**
 * Whether one module's three tiles of ranks go by the gradients' kernel for four, which has fewer instructions than that for
 * any number; the last tile has no ranks. Its ring is larger: it must be as deep on a device of whose shared memory a block may
 * have `device_bytes`, and leave a multiprocessor as many blocks.
 */
constexpr bool three_tiles_take_four(int64_t element_bytes, bool with_rows, bool dropout, int64_t device_bytes) {
  constexpr int kTiles = 3;
  constexpr int64_t kReserved = 1024;  // beside each block's, and beside the most that one may have
  const int row_tiles = with_rows ? kTiles : 0;
  const int64_t most_bytes = with_rows ? device_bytes : kLeastSharedBytes;
  const int stages = grad_stages(element_bytes, kTiles, row_tiles, dropout, most_bytes);
  if (grad_stages(element_bytes, kTiles + 1, row_tiles, dropout, most_bytes) != stages) return false;
  const auto blocks = [&](int tiles) {
    const int64_t bytes = grad_shared_bytes(element_bytes, stages, tiles, row_tiles, dropout);
    return std::min<int64_t>((device_bytes + kReserved) / (bytes + kReserved),
                             grad_blocks_per_processor(element_bytes, with_rows));
  };
  return blocks(kTiles) == blocks(kTiles + 1);
}

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
