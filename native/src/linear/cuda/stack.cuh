// Narrow operands of a wide matrix: the rank-r matrices of one or more modules, stacked, and how kernels see the stack.
//
// Ranks are handled in tiles of 16; each module starts a tile of its own, so a tile has one dropout mask. A block takes a chunk
// of up to kChunkTiles tiles, and the grid's z covers the rest. Chunks end where modules do if that makes no chunk more, since
// each chunk draws the masks of its modules.
#pragma once

#include "cuda/element.cuh"
#include "linear/cuda/shares.h"

namespace prunepeft::cuda {
constexpr int kMaxModules = 16;
constexpr int kTileRanks = 16;

/** Which fields a kernel uses, its file says. */
struct StackedModule {
  const void* a;  // [rank, K]
  int64_t lda;
  void* s;  // [M, rank]; null in the grad kernel: a column of ones, whose product is the column sums
  int64_t lds;
  float* gradient;
  int64_t ldg;
  uint16_t* kept;  // its mask (dropout.cuh): the down kernel writes it, others read it in place of draws; null: all draw
  float scale;
  uint32_t mask_name;
  int32_t rank;
  int32_t first_tile;
  int32_t first_column;  // in partial sums, where columns lie side by side without padding
};

/** Of one module at most, what depends on where modules begin is known to the compiler. */
template <int kMost_>
struct StackOf {
  static constexpr int kMost = kMost_;
  StackedModule modules[kMost];
  int32_t count;
  int32_t tiles;
  int32_t columns;
  int32_t length = kChunkTiles;  // tiles of a chunk, but for the last one's
  __host__ __device__ void add(StackedModule module) {
    module.first_tile = tiles;
    module.first_column = columns;
    modules[count++] = module;
    tiles += static_cast<int32_t>(gpu::divide_up(module.rank, kTileRanks));
    columns += module.rank;
  }
  /** After the last module: has chunks end where modules do. */
  void cut() {
    length = static_cast<int32_t>(chunk_length(tiles, count, [&](int i) { return modules[i].first_tile; }));
  }
  int chunks() const { return static_cast<int>(gpu::divide_up(tiles, length)); }
  int chunk_tiles() const { return static_cast<int>(gpu::least(tiles, length)); }
};

using Stack = StackOf<kMaxModules>;
using OneModule = StackOf<1>;

/** A stack that has one module. */
inline OneModule one_module(const Stack& stack) {
  OneModule one = {};
  one.add(stack.modules[0]);
  return one;
}

/** Tiles of ranks [first, first + count) of a stack. */
struct Chunk {
  int first;
  int count;
};
template <class S>
GPU_INLINE Chunk chunk_of(const S& stack, int number) {
  const int length = S::kMost > 1 ? stack.length : kChunkTiles;
  return {number * length, static_cast<int>(gpu::least(stack.tiles - number * length, length))};
}

/** Ranks [first, first + count) of a module. */
struct RankTile {
  int module;
  int first;
  int count;
};

template <class S>
GPU_INLINE RankTile rank_tile(const S& stack, int tile) {
  int module = 0;
  if constexpr (S::kMost > 1)
    while (module + 1 < stack.count && stack.modules[module + 1].first_tile <= tile) module++;
  const int first = (tile - stack.modules[module].first_tile) * kTileRanks;
  return {module, first, static_cast<int>(gpu::least(stack.modules[module].rank - first, kTileRanks))};
}

/** Bit t is set if the t-th of the tiles from `first_tile` on is the first or another module's than the one before. */
template <class S>
GPU_INLINE unsigned module_starts(const S& stack, int first_tile, int tiles) {
  unsigned starts = 1;
  if constexpr (S::kMost > 1)
    for (int t = 1; t < tiles; t++)
      if (rank_tile(stack, first_tile + t).first == 0) starts |= 1u << t;
  return starts;
}

/** The module that a column of the partial sums belongs to. */
template <class S>
GPU_INLINE int module_of_column(const S& stack, int column) {
  int module = 0;
  if constexpr (S::kMost > 1)
    while (module + 1 < stack.count && stack.modules[module + 1].first_column <= column) module++;
  return module;
}
}  // namespace prunepeft::cuda
