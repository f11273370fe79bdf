// Which kernel a fused linear takes on which device.
//
// The device's properties decide. A device is known by its compute capability and by what it has, never by its name. Every path
// gives results within the same tolerance; the two tiles of sm_80 give the same bits, and so do the path by warpgroups and its
// clusters. Where these make S themselves its sums are added in another order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "linear/cuda/order.h"
#include "linear/cuda/path.h"

namespace prunepeft::cuda {
/** Properties of a device, as the CUDA runtime gives them. */
struct DeviceTraits {
  int compute_major = 0;
  int multiprocessors = 0;
  /** Most that one block may ask for. */
  int64_t shared_bytes_per_block = 0;
  int64_t l2_bytes = 0;
  int compute_minor = 0;
};

enum class LinearDirection { kForward, kGradInput };

struct LinearShape {
  int64_t M;
  /** Columns of the result and length of the inner product: N and K forward, K and N for dX. */
  int64_t columns;
  int64_t inner;
  int64_t element_bytes;
  /** Whether the copy engine of compute capability 9.0 can bring the operands (linear_warpgroup.h). */
  bool copied_in_bulk = false;
  LinearDirection direction = LinearDirection::kForward;
  /** Whether blocks by warpgroups may work in clusters. */
  bool in_clusters = true;
  /** Of S, which the product may make itself, in tiles of 16 ranks, each module's apart, or dX of dS and dB; 0: of none. */
  int64_t rank_tiles = 0;
  /** Whether S is of a masked x; of several modules, which have a mask each, the product does not make it. */
  bool masked = false;
};

/** Tiles that cover a length; of a number of things, rounds of so many. */
constexpr int64_t tiles_of(int64_t length, int64_t tile) {
  return (length + tile - 1) / tile;
}

struct LinearChoice {
  LinearPath path;
  /** Row tiles that are worked on together, see order.h. */
  int64_t group_rows;
};

/** Rows and columns of a path's tile. */
struct TileSize {
  int64_t rows;
  int64_t columns;
};
constexpr bool is_by_warpgroups(LinearPath path) {
  return path == LinearPath::kWarpgroup || path == LinearPath::kWarpgroupClusters || path == LinearPath::kClustersWithS;
}
constexpr TileSize tile_size(LinearPath path, int64_t element_bytes) {
  if (is_by_warpgroups(path)) return {128, 256};
  return path == LinearPath::kSmallTile ? TileSize{64, 64} : TileSize{128, element_bytes == 2 ? 128 : 64};
}

constexpr int64_t tile_count(const LinearShape& shape, const TileSize& tile) {
  return tiles_of(shape.M, tile.rows) * tiles_of(shape.columns, tile.columns);
}

/** Shared memory that a block of linear_warpgroup.cuh is taken to need, its barriers included. */
constexpr int64_t kWarpgroupSharedBytes = 212 * 1024;

/** Modules whose operands the copy engine brings to a product by warpgroups. */
constexpr int kMostBulkModules = 8;

/** Up to so many rows the forward product by warpgroups is two launches, since S is then made without shares of K. */
constexpr int64_t kMostRowsInTwoLaunches = 4096;

/** Only compute capability 9.0 has warpgroups' products in this form: what comes after it has others. */
inline bool has_warpgroup_path(const DeviceTraits& device, const LinearShape& shape) {
  return device.compute_major == 9 && device.shared_bytes_per_block >= kWarpgroupSharedBytes && shape.copied_in_bulk;
}

/** Blocks of a cluster, side by side along the rows: linear_warpgroup.cuh. */
constexpr int64_t kClusterBlocks = 2;

inline bool has_cluster_path(const DeviceTraits& device, const LinearShape& shape) {
  return has_warpgroup_path(device, shape) && device.multiprocessors >= kClusterBlocks && shape.in_clusters;
}

/**
 * Whether clusters are expected to win: they read a third less, which is taken to be an eighth of the time, but the row tiles
 * of a cluster go together, so that where they are odd in number the last has one without rows. Times are in rounds of tiles
 * over all multiprocessors; a single row of tiles has none to share with.
 */
inline bool clusters_pay(const DeviceTraits& device, const LinearShape& shape) {
  const TileSize tile = tile_size(LinearPath::kWarpgroupClusters, shape.element_bytes);
  const int64_t row_tiles = tiles_of(shape.M, tile.rows), column_tiles = tiles_of(shape.columns, tile.columns);
  const int64_t alone = tiles_of(row_tiles * column_tiles, device.multiprocessors);
  const int64_t side_by_side =
      tiles_of(tiles_of(row_tiles, kClusterBlocks) * column_tiles, device.multiprocessors / kClusterBlocks);
  return row_tiles > 1 && 8 * side_by_side <= 9 * alone;
}

/**
 * Of so many runners that take so many works in turns, how many do as well: as many turns of the busiest. The others' blocks
 * are free for what runs beside.
 */
constexpr int64_t busy_runners(int64_t works, int64_t runners) {
  return works == 0 ? 0 : tiles_of(works, tiles_of(works, runners));
}

/** Ranks of a tile of S, and tiles that the product can make itself: linear_with_s.cuh. */
constexpr int64_t kRankTileRanks = 16, kMostRankTilesInside = 4;
/** Of dS, which the product dX makes with dB: linear_with_ds.cuh. */
constexpr int64_t kMostRankTilesOfDs = 2;
/** Shared memory that its block is taken to need. */
constexpr int64_t kWithSSharedBytes = 226 * 1024;

constexpr int64_t most_rank_tiles(LinearDirection direction) {
  return direction == LinearDirection::kForward ? kMostRankTilesInside : kMostRankTilesOfDs;
}

inline bool has_path_with_s(const DeviceTraits& device, const LinearShape& shape) {
  return has_cluster_path(device, shape) && device.shared_bytes_per_block >= kWithSSharedBytes && shape.rank_tiles >= 1 &&
         shape.rank_tiles <= most_rank_tiles(shape.direction) &&
         (shape.direction == LinearDirection::kForward || !shape.masked);
}

/**
 * Instructions of a warp in a step in which S of a masked x is made, from the draws to the products (cmake/cost_of_loops.py
 * compares them with native/cuda-loops.txt). A scheduler has two such warps, and is taken to issue in three of four clocks. The
 * tensor cores multiply meanwhile, a column of the tile in four clocks: so many columns more could they do by then.
 */
constexpr int64_t kMaskedStep = 508;
constexpr int64_t kColumnsOfMasks = 2 * kMaskedStep * 4 / 3 / 4 - 256;

/**
 * What S costs the tile that it is made with, in columns of a tile. Its product of 64 rows and n columns reads their 32 bytes
 * each from shared memory, 128 a clock, in (64 + n) / 4 clocks, in two of which the tensor cores do a column. Under dropout at
 * least what the masks take longer than the product with W beside them.
 */
constexpr int64_t columns_of_s(int64_t rank_tiles, bool masked = false) {
  const int64_t products = (64 + rank_tiles * kRankTileRanks) / 2;
  return masked && products < kColumnsOfMasks ? kColumnsOfMasks : products;
}

/** Rows of tiles that a run reaches into, of so many columns: it makes S so often. */
inline int64_t rows_of_run(int64_t length, int64_t column_tiles) {
  if (length == 0) return 0;
  if (column_tiles % length == 0) return 1;
  return length % column_tiles == 0 ? length / column_tiles : (length + column_tiles - 2) / column_tiles + 1;
}

/** Columns of tiles that the busiest of the runners multiplies, and `of_s` more where it makes S. */
inline int64_t busiest_columns(const LinearOrder& order, int64_t runners, int64_t of_s) {
  const auto of_group = [&](int64_t rows) {
    if (rows == 0) return int64_t{0};
    const int64_t length = run_length(order, rows, runners);
    return length * tile_size(LinearPath::kClustersWithS, 2).columns + rows_of_run(length, order.column_tiles) * of_s;
  };
  return order.row_tiles / order.group_rows * of_group(order.group_rows) + of_group(order.row_tiles % order.group_rows);
}

/**
 * Tiles in runs by clusters, in the groups that keep the busiest the shortest time. While a group has at most half as many row
 * tiles as there are runners, or each runner has one tile of it, the products take longer than reading x again for each turn.
 */
inline LinearOrder order_of_runs(const LinearShape& shape, int64_t runners) {
  const TileSize tile = tile_size(LinearPath::kClustersWithS, shape.element_bytes);
  LinearOrder order = {};
  order.row_tiles = tiles_of(shape.M, kClusterBlocks * tile.rows);
  order.column_tiles = tiles_of(shape.columns, tile.columns);
  int64_t best_rows = 1, best = 0;
  for (order.group_rows = 1; order.group_rows <= std::min(order.row_tiles, runners); order.group_rows++) {
    if (2 * order.group_rows > std::max<int64_t>(runners, 2) && run_length(order, order.group_rows, runners) > 1) break;
    const int64_t columns = busiest_columns(order, runners, columns_of_s(shape.rank_tiles, shape.masked));
    if (best != 0 && columns >= best) continue;
    best = columns;
    best_rows = order.group_rows;
  }
  order.group_rows = best_rows;
  return order;
}

/** How often S of a row of tiles is made. */
inline double makings_of_row(const LinearOrder& order, int64_t runners) {
  const auto of_group = [&](int64_t rows) {
    if (rows == 0) return int64_t{0};
    const int64_t length = run_length(order, rows, runners);
    return tiles_of(rows * order.column_tiles, length) * rows_of_run(length, order.column_tiles);
  };
  const int64_t all =
      order.row_tiles / order.group_rows * of_group(order.group_rows) + of_group(order.row_tiles % order.group_rows);
  return static_cast<double>(all) / static_cast<double>(order.row_tiles);
}

/**
 * Whether S made in the product is expected to cost less than launches of its own before. These read x, at some 240 operations
 * of all multiprocessors a byte, and take 5 us, in which one does some 27 million operations.
 */
inline bool making_s_pays(const DeviceTraits& device, const LinearShape& shape) {
  constexpr double kOperationsAByte = 240, kOperationsOfLaunches = 27e6, kOperationsAnElement = 2;
  const int64_t runners = device.multiprocessors / kClusterBlocks;
  const TileSize tile = tile_size(LinearPath::kClustersWithS, shape.element_bytes);
  const LinearOrder order = order_of_runs(shape, runners);
  const int64_t without = tiles_of(order.row_tiles * order.column_tiles, runners) * tile.columns;
  const auto more =
      static_cast<double>(busiest_columns(order, runners, columns_of_s(shape.rank_tiles, shape.masked)) - without);
  const double launches = kOperationsAByte * static_cast<double>(shape.M * shape.element_bytes) / device.multiprocessors +
                          kOperationsOfLaunches / static_cast<double>(shape.inner);
  return more * kOperationsAnElement * static_cast<double>(tile.rows) <= launches;
}

/**
 * The same of dS and dB made in dX's product. Each run of a row makes dS, and its share of dB at as much a step. A launch that
 * reads dB's parts is left: 4 bytes for each rank and 128 elements of dY.
 */
inline bool making_ds_pays(const DeviceTraits& device, const LinearShape& shape) {
  constexpr double kOperationsAByte = 240, kOperationsOfLaunch = 13.5e6, kOperationsAnElement = 2, kSlotBytes = 4;
  const int64_t runners = device.multiprocessors / kClusterBlocks;
  const TileSize tile = tile_size(LinearPath::kClustersWithS, shape.element_bytes);
  const LinearOrder order = order_of_runs(shape, runners);
  const int64_t without = tiles_of(order.row_tiles * order.column_tiles, runners) * tile.columns;
  const double of_ds = static_cast<double>(columns_of_s(shape.rank_tiles));
  const auto columns = static_cast<int64_t>(of_ds * (1 + 1 / makings_of_row(order, runners)) + 0.5);
  const auto more = static_cast<double>(busiest_columns(order, runners, columns) - without);
  const double slots = kSlotBytes * static_cast<double>(shape.rank_tiles * kRankTileRanks) / static_cast<double>(tile.rows);
  const double launches = kOperationsAByte * static_cast<double>(shape.M) * (static_cast<double>(shape.element_bytes) - slots) /
                              device.multiprocessors +
                          kOperationsOfLaunch / static_cast<double>(shape.inner);
  return more * kOperationsAnElement * static_cast<double>(tile.rows) <= launches;
}

/** Whether a call can take the path at all. */
inline bool has_path(const DeviceTraits& device, const LinearShape& shape, LinearPath path) {
  if (path == LinearPath::kClustersWithS) return has_path_with_s(device, shape);
  if (path == LinearPath::kWarpgroupClusters) return has_cluster_path(device, shape);
  return path != LinearPath::kWarpgroup || has_warpgroup_path(device, shape);
}

/**
 * The path by warpgroups where its tiles give three of four multiprocessors work: mma.sync reaches some 0.6 of the rate of
 * wgmma, so that with less the paths of sm_80, whose tiles are smaller, can be level. Of those, the large tile reads half as
 * much for each product as the small one, so it wins unless it leaves multiprocessors without work.
 */
inline LinearPath default_path(const DeviceTraits& device, const LinearShape& shape) {
  if (has_warpgroup_path(device, shape) &&
      4 * tile_count(shape, tile_size(LinearPath::kWarpgroup, shape.element_bytes)) >= 3 * int64_t{device.multiprocessors}) {
    if (!has_cluster_path(device, shape) || !clusters_pay(device, shape)) return LinearPath::kWarpgroup;
    const auto pays = shape.direction == LinearDirection::kForward ? making_s_pays : making_ds_pays;
    return has_path_with_s(device, shape) && pays(device, shape) ? LinearPath::kClustersWithS : LinearPath::kWarpgroupClusters;
  }
  const int64_t tiles = tile_count(shape, tile_size(LinearPath::kLargeTile, shape.element_bytes));
  return tiles >= device.multiprocessors ? LinearPath::kLargeTile : LinearPath::kSmallTile;
}

/** As many row tiles as have column tiles beside them at once, while a group's rows of x fill at most half of the L2 cache. */
inline int64_t default_group_rows(const DeviceTraits& device, const LinearShape& shape, const TileSize& tile) {
  int64_t square = 1;
  while (square * square < device.multiprocessors) square++;
  const int64_t fitting = device.l2_bytes / 2 / (tile.rows * shape.inner * shape.element_bytes);
  return std::max<int64_t>(std::min(square, fitting), 1);
}

inline LinearChoice choose_linear(const DeviceTraits& device, const LinearShape& shape) {
  const LinearPath path = default_path(device, shape);
  return {path, default_group_rows(device, shape, tile_size(path, shape.element_bytes))};
}

/** Instructions that a code takes in the tiles: its bits, its value, scaled and rounded, and a share of the way there. */
constexpr double kInstructionsACode = 6;

/**
 * Whether codes of a quantised W, which the tiles can read, are decoded there. Each row of tiles then decodes all of W, 64
 * lanes at a time; decoded before, an element is written once and read once, at some 12 bytes a clock and multiprocessor. So
 * that is for few rows. Only the small tile of sm_80 does it, whose bits are those of what a dense W would take here.
 */
inline bool decodes_in_tiles(const DeviceTraits& device, const LinearShape& shape) {
  constexpr double kLanes = 64, kBytesAClock = 12;
  if (shape.element_bytes != 2 || is_by_warpgroups(default_path(device, shape))) return false;
  const int64_t rows = tile_size(LinearPath::kSmallTile, shape.element_bytes).rows;
  const auto tiles = static_cast<double>((shape.M + rows - 1) / rows);
  return tiles * kInstructionsACode / kLanes <= 2 * static_cast<double>(shape.element_bytes) / kBytesAClock;
}
}  // namespace prunepeft::cuda
