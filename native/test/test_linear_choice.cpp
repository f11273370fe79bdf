// How a fused linear on CUDA is cut into works, and which kernel it takes: rules of the host, with devices that are made up.
#include <set>
#include <vector>

#include "check.h"
#include "linear/cuda/choice.h"
#include "linear/cuda/order.h"

namespace {

using namespace prunepeft::cuda;

/** The order of a random shape; S is made in some. */
LinearOrder random_order() {
  LinearOrder order = {};
  order.row_tiles = check::pick(1, 40);
  order.column_tiles = check::pick(1, 12);
  order.group_rows = check::pick(1, 12);
  order.s_blocks_per_tile = check::pick(1, 2);
  order.s_parts = check::pick(0, 5);
  // The last tile of rows may be so short that it has one block of S less.
  order.s_row_blocks = order.row_tiles * order.s_blocks_per_tile - check::pick(0, order.s_blocks_per_tile - 1);
  if (order.s_parts == 0) order.s_row_blocks = 0;
  return order;
}

TEST(tickets_cover_every_tile_and_every_part_of_s_once) {
  for (int turn = 0; turn < 300; ++turn) {
    const LinearOrder order = random_order();
    std::set<std::vector<int64_t>> seen;
    for (int64_t ticket = 0; ticket < linear_works(order); ++ticket) {
      const LinearWork work = linear_work(order, ticket);
      CHECK(work.row >= 0 && work.row < (work.makes_s ? order.s_row_blocks : order.row_tiles));
      CHECK(work.column >= 0 && work.column < order.column_tiles);
      CHECK(work.part >= 0 && (!work.makes_s || work.part < order.s_parts));
      CHECK(seen.insert({work.makes_s, work.row, work.column, work.part}).second);
    }
    CHECK_EQUAL(static_cast<int64_t>(seen.size()), order.row_tiles * order.column_tiles + order.s_row_blocks * order.s_parts);
  }
}

TEST(a_tile_has_a_later_ticket_than_the_parts_of_s_that_it_waits_for) {
  for (int turn = 0; turn < 300; ++turn) {
    const LinearOrder order = random_order();
    std::vector<int64_t> made(static_cast<size_t>(order.s_row_blocks));
    for (int64_t ticket = 0; ticket < linear_works(order); ++ticket) {
      const LinearWork work = linear_work(order, ticket);
      if (work.makes_s) {
        ++made[static_cast<size_t>(work.row)];
        continue;
      }
      const int64_t end = std::min((work.row + 1) * order.s_blocks_per_tile, order.s_row_blocks);
      for (int64_t block = work.row * order.s_blocks_per_tile; block < end; ++block)
        CHECK_EQUAL(made[static_cast<size_t>(block)], order.s_parts);
    }
  }
}

TEST(runs_cover_every_tile_once_and_begin_each_row_with_s) {
  for (int turn = 0; turn < 300; ++turn) {
    const LinearOrder order = random_order();
    const int64_t runners = check::pick(1, 20);
    std::set<std::vector<int64_t>> seen;
    std::vector<int64_t> writers(static_cast<size_t>(order.row_tiles));
    std::vector<std::set<int64_t>> makings_of(static_cast<size_t>(order.row_tiles));
    std::vector<int64_t> counts(static_cast<size_t>(order.row_tiles));
    int64_t makings = 0, most_columns = 0;
    for (int64_t runner = 0; runner < runners; ++runner) {
      int64_t row = -1, tiles = 0, made = 0;  // the row whose S the runner has
      for (int64_t at = 0; at < run_turns(order, runners); ++at) {
        const LinearWork work = run_work(order, runners, runner, at);
        if (work.row < 0) continue;
        CHECK(work.row < order.row_tiles && work.column >= 0 && work.column < order.column_tiles);
        CHECK(seen.insert({work.row, work.column}).second);
        if (work.makes_s) row = work.row;
        CHECK_EQUAL(row, work.row);
        if (work.makes_s) {
          const MakingOfRow making = making_of_row(order, runners, work);
          CHECK(making.index >= 0 && making.index < making.count);
          CHECK(makings_of[static_cast<size_t>(row)].insert(making.index).second);
          counts[static_cast<size_t>(row)] = making.count;
        }
        if (work.makes_s && work.column == 0) ++writers[static_cast<size_t>(row)];
        ++tiles;
        made += work.makes_s ? 1 : 0;
      }
      makings += made;
      most_columns = std::max(most_columns, 256 * tiles + columns_of_s(1) * made);
    }
    CHECK_EQUAL(static_cast<int64_t>(seen.size()), order.row_tiles * order.column_tiles);
    for (const int64_t writer : writers) CHECK_EQUAL(writer, 1);
    for (size_t row = 0; row < counts.size(); ++row) CHECK_EQUAL(static_cast<int64_t>(makings_of[row].size()), counts[row]);
    CHECK(most_columns <= busiest_columns(order, runners, columns_of_s(1)));
    CHECK(static_cast<double>(makings) <= makings_of_row(order, runners) * static_cast<double>(order.row_tiles) + 1e-6);
  }
}

TEST(s_is_made_in_the_product_where_that_costs_less_than_reading_x_again) {
  const DeviceTraits hopper = {9, 132, 227 * 1024, 50 << 20};
  const auto path = [](const DeviceTraits& device, int64_t M, int64_t columns, int64_t inner, int64_t rank_tiles,
                       bool masked = false) {
    LinearShape shape = {M, columns, inner, 2, true};
    shape.rank_tiles = rank_tiles;
    shape.masked = masked;
    return choose_linear(device, shape).path;
  };
  for (const int64_t tiles : {1, 2, 3, 4}) CHECK(path(hopper, 8192, 4096, 4096, tiles) == LinearPath::kClustersWithS);
  CHECK(path(hopper, 4096, 1024, 1024, 2) == LinearPath::kClustersWithS);
  // Masks take longer to draw than a few ranks to multiply: of a long x that few tiles share they do not pay.
  for (const int64_t tiles : {1, 2, 3, 4}) CHECK(path(hopper, 8192, 4096, 4096, tiles, true) == LinearPath::kClustersWithS);
  CHECK(columns_of_s(1, true) > columns_of_s(1) && columns_of_s(4, true) >= columns_of_s(4));
  for (const int64_t tiles : {0, 5}) CHECK(path(hopper, 8192, 4096, 4096, tiles) == LinearPath::kWarpgroupClusters);
  // Llama's other linears.
  CHECK(path(hopper, 8192, 11008, 4096, 1) == LinearPath::kClustersWithS);
  CHECK(path(hopper, 8192, 4096, 11008, 1) == LinearPath::kClustersWithS);
  // Two clusters' rows of x are short, and each of the 66 clusters would make S of one of them.
  CHECK(path(hopper, 512, 256 * 33, 8192, 4) == LinearPath::kWarpgroupClusters);
  CHECK(path({9, 132, kWithSSharedBytes - 1, 50 << 20}, 8192, 4096, 4096, 1) == LinearPath::kWarpgroupClusters);
}

TEST(ds_and_db_are_made_in_the_product_where_their_parts_cost_less_than_reading_dy_again) {
  const DeviceTraits hopper = {9, 132, 227 * 1024, 50 << 20};
  const auto path = [&](int64_t M, int64_t columns, int64_t inner, int64_t rank_tiles, bool masked = false) {
    LinearShape shape = {M, columns, inner, 2, true, LinearDirection::kGradInput};
    shape.rank_tiles = rank_tiles;
    shape.masked = masked;
    return choose_linear(hopper, shape).path;
  };
  CHECK(path(8192, 4096, 4096, 1) == LinearPath::kClustersWithS);
  CHECK(path(4096, 1024, 1024, 2) == LinearPath::kClustersWithS);
  for (const int64_t tiles : {0, 3}) CHECK(path(8192, 4096, 4096, tiles) == LinearPath::kWarpgroupClusters);
  CHECK(path(8192, 4096, 4096, 1, true) == LinearPath::kWarpgroupClusters);
  // Each cluster would make dS of one of two rows of tiles.
  CHECK(path(512, 256 * 33, 8192, 2) == LinearPath::kWarpgroupClusters);
}

TEST(runs_of_llama_are_half_a_row_and_make_s_once) {
  LinearShape shape = {8192, 4096, 4096, 2, true};
  shape.rank_tiles = 1;
  const LinearOrder order = order_of_runs(shape, 66);
  CHECK_EQUAL(order.group_rows, 32);
  CHECK_EQUAL(run_turns(order, 66), 8);
  CHECK_EQUAL(busiest_columns(order, 66, columns_of_s(1)), 8 * 256 + 40);
  CHECK_EQUAL(makings_of_row(order, 66), 2);
}

TEST(a_shape_with_fewer_large_tiles_than_multiprocessors_takes_small_ones) {
  const DeviceTraits device = {8, 100, 99 * 1024, 40 << 20};
  CHECK(choose_linear(device, {128 * 10, 128 * 10, 512, 2}).path == LinearPath::kLargeTile);
  CHECK(choose_linear(device, {128 * 9, 128 * 11, 512, 2}).path == LinearPath::kSmallTile);
  // float32 has tiles of half the width, hence twice as many.
  CHECK(choose_linear(device, {128 * 9, 128 * 11, 512, 4}).path == LinearPath::kLargeTile);
  CHECK(choose_linear({8, 99, 99 * 1024, 40 << 20}, {128 * 9, 128 * 11, 512, 2}).path == LinearPath::kLargeTile);
}

TEST(warpgroups_work_where_their_tiles_fill_three_quarters_of_a_hopper) {
  const DeviceTraits hopper = {9, 132, 227 * 1024, 50 << 20};
  const auto path = [](const DeviceTraits& device, LinearShape shape) {
    shape.in_clusters = false;
    return choose_linear(device, shape).path;
  };
  CHECK(path(hopper, {4096, 1024, 1024, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path(hopper, {128 * 99, 256, 64, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path(hopper, {128 * 98, 256, 64, 2, true}) == LinearPath::kLargeTile);
  CHECK(path(hopper, {2048, 384, 384, 2, true}) == LinearPath::kSmallTile);
  // Operands that the copy engine cannot bring, and devices without warpgroups' products of this form.
  CHECK(path(hopper, {4096, 1024, 1024, 2, false}) == LinearPath::kLargeTile);
  CHECK(path({10, 148, 227 * 1024, 50 << 20}, {4096, 1024, 1024, 2, true}) == LinearPath::kLargeTile);
  CHECK(path({8, 108, 163 * 1024, 40 << 20}, {4096, 1024, 1024, 2, true}) == LinearPath::kLargeTile);
  // A block must have its shared memory.
  CHECK(path({9, 132, kWarpgroupSharedBytes, 50 << 20}, {4096, 1024, 1024, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path({9, 132, kWarpgroupSharedBytes - 1, 50 << 20}, {4096, 1024, 1024, 2, true}) == LinearPath::kLargeTile);
}

TEST(clusters_are_taken_where_no_more_rounds_of_tiles_come_of_it) {
  const DeviceTraits hopper = {9, 132, 227 * 1024, 50 << 20};
  const auto path = [](const DeviceTraits& device, const LinearShape& shape) { return choose_linear(device, shape).path; };
  CHECK(path(hopper, {8192, 4096, 4096, 2, true}) == LinearPath::kWarpgroupClusters);
  CHECK(path(hopper, {4096, 1024, 1024, 2, true}) == LinearPath::kWarpgroupClusters);
  // A single row of tiles shares with none.
  CHECK(path(hopper, {128, 256 * 132, 64, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path(hopper, {129, 256 * 66, 64, 2, true}) == LinearPath::kWarpgroupClusters);
  // Three row tiles take the time of four.
  CHECK(path(hopper, {128 * 3, 256 * 44, 64, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path(hopper, {128 * 4, 256 * 44, 64, 2, true}) == LinearPath::kWarpgroupClusters);
  // One round more is worth it from eight rounds on: 99 and 100 row tiles of 8 and of 11 columns are 6 against 7, 9 against 9.
  CHECK(path(hopper, {128 * 33, 256 * 28, 64, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path(hopper, {128 * 33, 256 * 32, 64, 2, true}) == LinearPath::kWarpgroupClusters);
  // Where clusters are not admitted, or a block must be alone.
  LinearShape alone = {8192, 4096, 4096, 2, true};
  alone.in_clusters = false;
  CHECK(path(hopper, alone) == LinearPath::kWarpgroup);
  CHECK(path({9, 1, 227 * 1024, 50 << 20}, {8192, 4096, 4096, 2, true}) == LinearPath::kWarpgroup);
  CHECK(path({9, 3, 227 * 1024, 50 << 20}, {8192, 4096, 4096, 2, true}) == LinearPath::kWarpgroup);
}

TEST(codes_are_decoded_in_the_tiles_of_few_rows) {
  const DeviceTraits ampere = {8, 108, 163 * 1024, 40 << 20}, hopper = {9, 132, 227 * 1024, 50 << 20};
  CHECK(decodes_in_tiles(ampere, {1, 4096, 4096, 2, true}));
  CHECK(decodes_in_tiles(ampere, {64 * 3, 4096, 4096, 2, true}));
  CHECK(!decodes_in_tiles(ampere, {64 * 3 + 1, 4096, 4096, 2, true}));
  // float32 has no such tiles.
  CHECK(!decodes_in_tiles(ampere, {1, 4096, 4096, 4, true}));
  // Where a dense W would go by warpgroups, which have other bits.
  CHECK(decodes_in_tiles(hopper, {64, 4096, 4096, 2, true}));
  CHECK(!decodes_in_tiles(hopper, {64, 256 * 132, 4096, 2, true}));
}

TEST(a_group_of_row_tiles_fits_half_of_the_l2_cache) {
  for (int turn = 0; turn < 300; ++turn) {
    const DeviceTraits device = {static_cast<int>(check::pick(7, 12)), static_cast<int>(check::pick(1, 300)), 99 * 1024,
                                 check::pick(1, 200) << 20};
    const LinearShape shape = {check::pick(1, 20000), check::pick(1, 20000), check::pick(1, 20000), 2 * check::pick(1, 2)};
    const LinearChoice choice = choose_linear(device, shape);
    const int64_t bytes = tile_size(choice.path, shape.element_bytes).rows * shape.inner * shape.element_bytes;
    CHECK(choice.group_rows >= 1 && choice.group_rows <= 18);
    CHECK(choice.group_rows == 1 || choice.group_rows * bytes <= device.l2_bytes / 2);
  }
}

}  // namespace
