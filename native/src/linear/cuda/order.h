// In which order the blocks of a fused linear take their work, for host and device.
//
// Blocks take tickets, so that a block's ticket says what has surely been begun before it, however the device schedules blocks.
// Row tiles come in groups of `group_rows`; a group's parts of S = s·D(x) Aᵀ have the tickets just before the group's tiles of
// y, which wait for S only once their own product with W is done. So the parts of S run beside the products of the group
// before, x is still in the L2 cache when the group's tiles of y read it, and whoever waits waits for tickets that run already.
// Within a group tiles go down the rows first: those that run at once share a few row tiles of x and column tiles of W.
//
// Runs are another order, for those that keep S of a row tile to themselves: each takes tiles side by side, and makes S with
// the first one of a row. Nobody waits for anybody. A group's tiles, row by row, are cut into runs of one length.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define PP_LINEAR_HOST_DEVICE __host__ __device__
#else
#define PP_LINEAR_HOST_DEVICE
#endif

namespace prunepeft::cuda {
struct LinearOrder {
  int64_t row_tiles;
  int64_t column_tiles;
  /** Row tiles of a group; the last may have fewer. */
  int64_t group_rows;
  /** Row blocks that S is made in, and how many of them a row tile has (the last may have fewer). */
  int64_t s_row_blocks;
  int64_t s_blocks_per_tile;
  /** Parts of S of one row block; 0: S is not made here. */
  int64_t s_parts;
};

/**
 * A part of S (`row` is a row block of S) or a tile of y or dX (`row` and `column` count tiles). In runs `makes_s` says of a
 * tile that S is made with it; `row` -1: there is no tile.
 */
struct LinearWork {
  bool makes_s;
  int64_t row;
  int64_t column;
  int64_t part;
};

PP_LINEAR_HOST_DEVICE static inline int64_t linear_works(const LinearOrder& order) {
  return order.s_row_blocks * order.s_parts + order.row_tiles * order.column_tiles;
}

PP_LINEAR_HOST_DEVICE static inline LinearWork linear_work(const LinearOrder& order, int64_t ticket) {
  const int64_t s_group = order.group_rows * order.s_blocks_per_tile;
  const int64_t works_of_group = s_group * order.s_parts + order.group_rows * order.column_tiles;
  const int64_t group = ticket / works_of_group;
  int64_t index = ticket % works_of_group;
  const int64_t rows_left = order.row_tiles - group * order.group_rows, s_left = order.s_row_blocks - group * s_group;
  const int64_t rows = rows_left < order.group_rows ? rows_left : order.group_rows;
  const int64_t s_works = (s_left < s_group ? s_left : s_group) * order.s_parts;
  if (index < s_works) return {true, group * s_group + index / order.s_parts, 0, index % order.s_parts};
  index -= s_works;
  return {false, group * order.group_rows + index % rows, index / rows, 0};
}

/** Tiles of a run in a group of so many row tiles, where so many take them. */
PP_LINEAR_HOST_DEVICE static inline int64_t run_length(const LinearOrder& order, int64_t group_rows, int64_t runners) {
  return (group_rows * order.column_tiles + runners - 1) / runners;
}

/** Turns of each runner in all groups. */
PP_LINEAR_HOST_DEVICE static inline int64_t run_turns(const LinearOrder& order, int64_t runners) {
  return order.row_tiles / order.group_rows * run_length(order, order.group_rows, runners) +
         run_length(order, order.row_tiles % order.group_rows, runners);
}

/** What a runner does at a turn. */
PP_LINEAR_HOST_DEVICE static inline LinearWork run_work(const LinearOrder& order, int64_t runners, int64_t runner,
                                                        int64_t turn) {
  const int64_t whole_groups = order.row_tiles / order.group_rows, whole_length = run_length(order, order.group_rows, runners);
  const int64_t of_turn = turn / whole_length, group = of_turn < whole_groups ? of_turn : whole_groups;
  const int64_t rows = group < whole_groups ? order.group_rows : order.row_tiles - group * order.group_rows;
  const int64_t within = turn - group * whole_length, index = runner * run_length(order, rows, runners) + within;
  if (index >= rows * order.column_tiles) return {false, -1, 0, 0};
  const int64_t column = index % order.column_tiles;
  return {within == 0 || column == 0, group * order.group_rows + index / order.column_tiles, column, 0};
}

/** Of the tiles that make S of one row, which one a tile is, and how many there are. */
struct MakingOfRow {
  int64_t index;
  int64_t count;
};
PP_LINEAR_HOST_DEVICE static inline MakingOfRow making_of_row(const LinearOrder& order, int64_t runners,
                                                              const LinearWork& work) {
  const int64_t group = work.row / order.group_rows, rows_left = order.row_tiles - group * order.group_rows;
  const int64_t length = run_length(order, rows_left < order.group_rows ? rows_left : order.group_rows, runners);
  const int64_t first = (work.row - group * order.group_rows) * order.column_tiles, last = first + order.column_tiles - 1;
  return {(first + work.column) / length - first / length, last / length - first / length + 1};
}
}  // namespace prunepeft::cuda
