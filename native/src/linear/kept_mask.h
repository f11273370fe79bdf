// The mask that a forward pass keeps for the backward pass, a bit an element: how much memory it takes, and where what lies.
// For host and device code alike.
//
// Strips of 16 columns, one after the other, have a half word for each row: two groups' bytes as dropout.cuh orders their bits.
// Rows of a strip are padded to groups of 16, whose pairs of rows lie in the order in which fragments of 16 columns want them:
// such a warp of the gradient products copies its words as they are.
#pragma once

#include "core/philox.h"

namespace prunepeft {
constexpr int kKeptColumns = 2 * kDropoutGroup, kKeptRows = 16;

/**
 * Where, among a warp's words, the word of row pair `pair` lies: that of rows 2 pair and 2 pair + 1, two bytes each, for the
 * warp's 16 columns. The two words that a lane needs of a fragment lie side by side.
 */
PP_HOST_DEVICE constexpr int pair_place(int pair) {
  return pair / 8 * 8 + pair % 4 * 2 + pair / 4 % 2;
}

/** Half words of a strip. */
PP_HOST_DEVICE constexpr int64_t kept_rows(int64_t rows) {
  return (rows + kKeptRows - 1) / kKeptRows * kKeptRows;
}

/** Half words of a mask. */
PP_HOST_DEVICE constexpr int64_t kept_size(int64_t rows, int64_t columns) {
  return (columns + kKeptColumns - 1) / kKeptColumns * kept_rows(rows);
}

/** Where the half word of a group's row lies in the group. */
PP_HOST_DEVICE constexpr int kept_place(int row) {
  return 2 * pair_place(row / 2) + row % 2;
}

/** Where the half word of a row and of the columns around `column` lies; kept_size, if it is not there. */
PP_HOST_DEVICE constexpr int64_t kept_index(int64_t row, int64_t column, int64_t rows, int64_t columns) {
  if (row >= kept_rows(rows) || column >= columns) return kept_size(rows, columns);
  const int in_group = static_cast<int>(row % kKeptRows);
  return column / kKeptColumns * kept_rows(rows) + row - in_group + kept_place(in_group);
}
}  // namespace prunepeft
