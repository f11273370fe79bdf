// Dropout masks of tiles of a wide matrix, a bit an element, in shared memory.
#pragma once

#include "core/philox.h"
#include "cuda/element.cuh"
#include "linear/cuda/stack.cuh"

namespace prunepeft::cuda {
/** Columns that one word of a mask covers. */
constexpr int kMaskColumns = 16;
static_assert(kMaskColumns == 2 * kDropoutGroup && gpu::kGroup == kDropoutGroup, "a word is two draws, a draw is one group");

/** The mask of kMaskColumns columns of a row, from column `column` (a multiple of it) on; `columns` is the matrix's width. */
GPU_INLINE uint16_t mask_word(const DropoutMask& dropout, uint32_t mask_name, int64_t row, int64_t column, int64_t columns) {
  const uint64_t group = static_cast<uint64_t>(row * dropout_groups(columns) + column / kDropoutGroup);
  return static_cast<uint16_t>(dropout_keep_bits(dropout, mask_name, group) | dropout_keep_bits(dropout, mask_name, group + 1)
                                                                                  << kDropoutGroup);
}

/**
 * Draws the masks of kRows x kWords of a wide matrix from (row, column) on, for each of a block's rank tiles that starts a
 * module: the word of row r, columns 16w to 16w + 15, for rank tile t goes to masks[(t * kRows + r) * kWords + w].
 */
template <int kThreads, int kRows, int kWords, class S>
GPU_INLINE void draw_masks(uint16_t* masks, const S& stack, int first_tile, int tiles, const DropoutMask& dropout, int64_t row,
                           int64_t column, int64_t columns) {
  const unsigned starts = module_starts(stack, first_tile, tiles);
  for (int t = 0; t < tiles; t++) {
    if ((starts >> t & 1) == 0) continue;
    const uint32_t mask_name = stack.modules[rank_tile(stack, first_tile + t).module].mask_name;
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kWords; i += kThreads)
      masks[t * kRows * kWords + i] =
          mask_word(dropout, mask_name, row + i / kWords, column + i % kWords * kMaskColumns, columns);
  }
}
}  // namespace prunepeft::cuda
