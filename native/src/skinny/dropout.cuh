// Dropout masks drawn from Philox4x32-10, laid out as prunepeft/lora.h says: one draw for eight columns of a row.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/element.cuh"
#include "skinny/stack.cuh"

namespace pp::cuda {
struct Dropout {
  uint32_t threshold;  // 16-bit numbers below it are dropped; 0: no dropout
  float keep_scale;
  uint32_t seed_low, seed_high;
  uint32_t micro_batch;
  uint32_t step;
};

/** Columns that one word of a mask covers. */
constexpr int kMaskColumns = 16;

/** The four output words for a counter and a key (Salmon et al., SC11). */
GPU_INLINE uint4 philox4x32_10(uint4 counter, uint2 key) {
  constexpr unsigned kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57, kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  constexpr int kRounds = 10;
#pragma unroll
  for (int round = 0; round < kRounds; round++) {
    const unsigned high0 = __umulhi(kMultiplier0, counter.x), low0 = kMultiplier0 * counter.x;
    const unsigned high1 = __umulhi(kMultiplier1, counter.z), low1 = kMultiplier1 * counter.z;
    counter = make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
    key.x += kWeyl0;
    key.y += kWeyl1;
  }
  return counter;
}

/** Bit i is set if column 8 * (group of the row) + i is kept; `group` counts groups over all rows. */
GPU_INLINE unsigned keep_bits(const Dropout& dropout, uint32_t module, int64_t group) {
  const unsigned low = static_cast<unsigned>(group), high = static_cast<unsigned>(group >> 32) & 0xffffu;
  const uint4 words = philox4x32_10(make_uint4(low, high | dropout.micro_batch << 16, dropout.step, module),
                                    make_uint2(dropout.seed_low, dropout.seed_high));
  const unsigned word[4] = {words.x, words.y, words.z, words.w};
  unsigned bits = 0;
#pragma unroll
  for (int i = 0; i < gpu::kGroup; i++) {
    const unsigned number = word[i / 2] >> (i % 2 * 16) & 0xffffu;
    bits |= (number >= dropout.threshold ? 1u : 0u) << i;
  }
  return bits;
}

/** The mask of kMaskColumns columns of a row, from column `column` (a multiple of it) on; `columns` is the matrix's width. */
GPU_INLINE uint16_t mask_word(const Dropout& dropout, uint32_t module, int64_t row, int64_t column, int64_t columns) {
  const int64_t group = row * gpu::divide_up(columns, gpu::kGroup) + column / gpu::kGroup;
  return static_cast<uint16_t>(keep_bits(dropout, module, group) | keep_bits(dropout, module, group + 1) << gpu::kGroup);
}

/**
 * Draws the masks of rows x words of a wide matrix from (row, column) on, for each of a block's rank tiles that starts a
 * branch: the word of row r, columns 16w to 16w + 15, for rank tile t goes to masks[(t * rows + r) * words + w].
 */
template <int kThreads>
GPU_INLINE void draw_masks(uint16_t* masks, const Stack& stack, int first_tile, int tiles, const Dropout& dropout, int rows,
                           int words, int64_t row, int64_t column, int64_t columns) {
  const unsigned starts = branch_starts(stack, first_tile, tiles);
  for (int t = 0; t < tiles; t++) {
    if ((starts >> t & 1) == 0) continue;
    const uint32_t module = stack.branches[rank_tile(stack, first_tile + t).branch].module;
    for (int i = static_cast<int>(threadIdx.x); i < rows * words; i += kThreads)
      masks[t * rows * words + i] = mask_word(dropout, module, row + i / words, column + i % words * kMaskColumns, columns);
  }
}
}  // namespace pp::cuda
