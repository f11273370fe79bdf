// How the fused linear shares its rows out, for both element types. For the kernels' translation units alone.
#pragma once

#include "core/call.h"
#include "core/product.h"
#include "core/threads.h"
#include "linear/cpu/linear_cpu.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Rows of an item: many make good use of W, few share the work out evenly. */
constexpr int64_t kPackedRows = 96;
/** The same where a part of W is decoded or packed for each item: that takes a share of the time that falls with its rows. */
constexpr int64_t kMostRows = 192;
static_assert(kPackedRows % kRowGroup == 0 && kMostRows % kRowGroup == 0, "whole groups");
constexpr int64_t kItemsOfAThread = 4;
/** Up to so many rows stay together: each block reads all of W, which takes longer than the product of a few rows with it. */
constexpr int64_t kFewRows = 48;
static_assert(kFewRows <= kMostRows, "a block's sums have room");

/**
 * How a result [M, columns] is shared out: in blocks of rows, and where these are too few for the threads, in parts of their
 * columns, of whole multiples of `unit`. Rows of one block and part are an item. An element's bits depend on neither.
 */
struct Items {
  int64_t M, columns, rows_of_block, blocks, columns_of_part, parts;

  /** `by_runs`: in few blocks, of about one size. */
  Items(int64_t M, int64_t columns, int64_t unit, bool by_runs) : M(M), columns(columns) {
    const int64_t threads = call_threads(), wanted = kItemsOfAThread * threads;
    const int64_t fewest = (M + kMostRows - 1) / kMostRows, few = fewest > threads ? round_up(fewest, threads) : fewest;
    const int64_t shares = by_runs ? few : wanted;
    rows_of_block = least(by_runs ? kMostRows : kPackedRows, round_up((M + shares - 1) / shares, kRowGroup));
    if (M <= kFewRows) rows_of_block = M;
    blocks = (M + rows_of_block - 1) / rows_of_block;
    const int64_t of_a_block = blocks >= wanted ? 1 : (wanted + blocks - 1) / blocks;
    columns_of_part = round_up((columns + of_a_block - 1) / of_a_block, unit);
    parts = (columns + columns_of_part - 1) / columns_of_part;
  }

  int64_t count() const { return blocks * parts; }
  int64_t row(int64_t block) const { return block * rows_of_block; }
  int64_t rows(int64_t block) const { return least(rows_of_block, M - row(block)); }
  int64_t block(int64_t item) const { return item / parts; }
  int64_t first_column(int64_t item) const { return item % parts * columns_of_part; }
  int64_t last_column(int64_t item) const { return least(first_column(item) + columns_of_part, columns); }
};

static inline double operations(int64_t M, int64_t N, int64_t K) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
