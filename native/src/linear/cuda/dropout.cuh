// Dropout masks of tiles of a wide matrix, a bit an element: how kernels draw them, and how they apply them.
//
// A byte is the mask of a group of eight elements of a row; element e is its bit mask_bit(e). In this order two instructions
// collect an element's bit from its number, and one permutation of bytes makes the masks of a lane's two elements of a
// fragment.
#pragma once

#include "core/philox.h"
#include "cuda/element.cuh"
#include "linear/cuda/product.cuh"
#include "linear/cuda/stack.cuh"
#include "linear/kept_mask.h"

namespace prunepeft::cuda {
static_assert(gpu::kGroup == kDropoutGroup, "a draw is one group");
/** Columns that a byte of a mask covers, in words of 16 or 32 bits. */
constexpr int kMaskColumns = 8;
static_assert(kMaskColumns == kDropoutGroup, "a byte is one draw");

/** Where the bit of a column lies in a word whose first byte is that of columns 0 to 7. */
__host__ __device__ constexpr int mask_bit(int column) {
  return column / kMaskColumns * 8 + 7 - column % kMaskColumns / 2 - column % 2 * 4;
}

/** Draws the masks of one module. Its keys are the host's, or those of philox_keys. */
struct MaskGenerator {
  const PhiloxKeys& keys;
  uint32_t step;
  uint32_t name;
  unsigned complement;   // 2^32 - 65536 threshold
  uint64_t micro_batch;  // in its place above the group

  GPU_INLINE MaskGenerator(const DropoutMask& mask, const PhiloxKeys& of_rounds, uint32_t mask_name)
      : keys(of_rounds),
        step(mask.step),
        name(mask_name),
        complement(0u - (mask.threshold << 16)),
        micro_batch(static_cast<uint64_t>(mask.micro_batch) << 48) {}

  /** word = 256 word + the byte of group `group`, so that the last group drawn is the first byte. */
  GPU_INLINE void append(unsigned& word, uint64_t group) const {
    const uint64_t place = micro_batch + group;
    const PhiloxWords numbers =
        philox4x32_with({{static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32), step, name}}, keys);
#pragma unroll
    for (int i = 0; i < 4; i++) ptx::append_carry(word, numbers.w[i] << 16, complement);
#pragma unroll
    for (int i = 0; i < 4; i++) ptx::append_carry(word, numbers.w[i], complement);
  }

  /** The word of kGroups groups, from `group` on. */
  template <int kGroups>
  GPU_INLINE unsigned draw(uint64_t group) const {
    unsigned word = 0;
#pragma unroll
    for (int i = kGroups - 1; i >= 0; i--) append(word, group + static_cast<unsigned>(i));
    return word;
  }
};

/** The group of column `column` (a multiple of 8) of row `row` of a matrix with so many columns. */
GPU_INLINE uint64_t mask_group(int64_t row, int64_t column, int64_t columns) {
  return static_cast<uint64_t>(row * dropout_groups(columns) + column / kDropoutGroup);
}

/** The fragment of 16 rows, masked: word i has the bytes of the lane's row lane / 4 + 8 i, the fragment's from byte `byte` on.
 */
template <class T>
GPU_INLINE LeftFragment<T> mask_rows(const LeftFragment<T>& left, const unsigned (&words)[2], int byte) {
  LeftFragment<T> result;
  const int shift = lane_index() % 4;  // brings the lane's columns to the bytes' signs, the second with 4 more
#pragma unroll
  for (int i = 0; i < 4; i++)
    result.r[i] = left.r[i] & ptx::spread_signs(words[i % 2] << shift, words[i % 2] << (shift + 4),
                                                0x4400u + 0x1111u * static_cast<unsigned>(byte + i / 2));
  return result;
}

GPU_INLINE LeftFragment<float> mask_rows(const LeftFragment<float>& left, const unsigned (&words)[2], int byte) {
  LeftFragment<float> result;
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int k = 0; k < kStep<float>; k++)
      result.v[i][k] = (words[i] >> (8 * byte + mask_bit(k)) & 1) != 0 ? left.v[i][k] : 0.0f;
  return result;
}

/** The transposed fragment of 16 columns by kStep rows from `row` on, masked by the warp's words. */
template <class T>
GPU_INLINE LeftFragment<T> mask_columns(const LeftFragment<T>& left, const unsigned* words, int row) {
  LeftFragment<T> result;
  const int lane = lane_index(), shift = 7 - mask_bit(lane / 4);
  const uint64_t pairs = *reinterpret_cast<const uint64_t*>(words + row / 2 + lane % 4 * 2);
  const unsigned signs[2] = {static_cast<unsigned>(pairs) << shift, static_cast<unsigned>(pairs >> 32) << shift};
#pragma unroll
  for (int i = 0; i < 4; i++)
    result.r[i] = left.r[i] & ptx::spread_signs(signs[i / 2], signs[i / 2], 0x2200u + 0x1111u * static_cast<unsigned>(i % 2));
  return result;
}

GPU_INLINE LeftFragment<float> mask_columns(const LeftFragment<float>& left, const unsigned* words, int row) {
  LeftFragment<float> result;
#pragma unroll
  for (int k = 0; k < kStep<float>; k++) {
    const unsigned word = words[pair_place((row + k) / 2)] >> ((row + k) % 2 * 16 + mask_bit(lane_index() / 4));
#pragma unroll
    for (int i = 0; i < 2; i++) result.v[i][k] = (word >> 8 * i & 1) != 0 ? left.v[i][k] : 0.0f;
  }
  return result;
}
}  // namespace prunepeft::cuda
