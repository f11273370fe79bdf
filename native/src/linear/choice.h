// Which kernel a fused linear takes on which device.
//
// The rule: what was measured decides (kMeasured), and where nothing was, the device's properties do. A device is known by its
// compute capability and by what it has, never by its name. Every path gives results within the same tolerance, and the two
// tiles of sm_80 the same bits.
//
// Origin of kMeasured: a run of gpu-check, which a row is to name. It times the path that is chosen here, not yet the other one
// beside it. NO DEVICE HAS BEEN MEASURED YET, so the table has no row.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace prunepeft::cuda {
/** Properties of a device, as the CUDA runtime gives them. */
struct DeviceTraits {
  int compute_major = 0;
  int multiprocessors = 0;
  /** Most that one block may ask for. */
  int64_t shared_bytes_per_block = 0;
  int64_t l2_bytes = 0;
};

struct LinearShape {
  int64_t M;
  /** Columns of the result and length of the inner product: N and K forward, K and N for dX. */
  int64_t columns;
  int64_t inner;
  int64_t element_bytes;
};

enum class LinearPath { kSmallTile, kLargeTile };

/** One measured answer: the first row that fits decides. */
struct MeasuredChoice {
  int compute_major;
  int64_t most_rows;  // of M
  int64_t most_columns;
  int64_t most_inner;
  LinearPath path;
  const char* origin;  // the run that it comes from
};

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
constexpr TileSize tile_size(LinearPath path, int64_t element_bytes) {
  return path == LinearPath::kSmallTile ? TileSize{64, 64} : TileSize{128, element_bytes == 2 ? 128 : 64};
}

constexpr int64_t tile_count(const LinearShape& shape, const TileSize& tile) {
  return (shape.M + tile.rows - 1) / tile.rows * ((shape.columns + tile.columns - 1) / tile.columns);
}

/** Reads half as much for each product as the small tile, so it wins unless it leaves multiprocessors without work. */
inline LinearPath default_path(const DeviceTraits& device, const LinearShape& shape) {
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

/** `measured` has `count` rows. */
inline LinearChoice choose_linear(const DeviceTraits& device, const LinearShape& shape, const MeasuredChoice* measured,
                                  size_t count) {
  LinearPath path = default_path(device, shape);
  const MeasuredChoice* const end = measured + count;
  const MeasuredChoice* row = std::find_if(measured, end, [&](const MeasuredChoice& choice) {
    return choice.compute_major == device.compute_major && shape.M <= choice.most_rows &&
           shape.columns <= choice.most_columns && shape.inner <= choice.most_inner;
  });
  if (row != end) path = row->path;
  return {path, default_group_rows(device, shape, tile_size(path, shape.element_bytes))};
}

inline LinearChoice choose_linear(const DeviceTraits& device, const LinearShape& shape) {
  return choose_linear(device, shape, nullptr, 0);
}
}  // namespace prunepeft::cuda
