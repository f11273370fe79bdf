// What each call does: bytes, operations, instructions and launches. ceilings.h has how long a device takes for them;
// docs/kernels-cuda.md gives the argument.
//
// A prediction is no measurement. It counts each operand of a call once, what products read again where L2 does not hold it,
// and partial sums in slots as written once and read again as far as L2 has lost them; the emulator counts the same bytes of
// each call (test/cuda/counted_test.cpp). Of the ranks of dX that are masked it has the busiest multiprocessor's turns, else it
// knows nothing of waves or bank conflicts; what is measured beside it says how much of the argument holds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "linear/cuda/ceilings.h"
#include "linear/cuda/choice.h"
#include "linear/cuda/shares.h"
#include "prunepeft/linear.h"

namespace prunepeft::cuda {
/**
 * Instructions of a warp in the loops of down and grad in 16 bits, where operands are aligned; under dropout what the unit of
 * integer operations, which begins one every second clock, makes of them. A step of down are 16 rows by 64 columns of x, one of
 * grad 64 rows by 16 columns of G; of its tiles of row products each is half of the warps'. cmake/cost_of_loops.py compares
 * them with native/cuda-loops.txt.
 */
constexpr double kDownStep = 124, kDownMasks = 308, kDownKeeps = 20, kDownMoreRanks = 25;
constexpr double kGradStep = 153, kGradRows = 107, kGradMasks = 305, kGradKept = 68, kGradMoreRanks = 28;

/**
 * Besides, or less, in the kernels for any number of tiles, which five and more have, of down three too, and on different rows
 * all but one each; and in those for several modules on the same rows.
 */
constexpr double kDownAnyLess = 24, kDownAnyMasks = 38, kDownModules = 30;
constexpr double kGradAny = 40, kGradAnyMasks = 78, kGradAnyKept = 40, kGradModules = 115;
/**
 * The same of up, whose step are 16 rows by 64 columns of y from its first instruction to its last: with 16 ranks of one
 * module, what reading y takes besides, each further module and 16 ranks more. The kernel for masks takes more by itself, for
 * each further module, whose product passes through shared memory by itself, and for each mask that is drawn or read.
 */
constexpr double kUpStep = 389, kUpReads = 54, kUpModule = 113, kUpMoreRanks = 47;
constexpr double kUpMasked = 100, kUpMaskedModule = 205, kUpMasks = 273, kUpKept = 80;
/** The same of the kernel for any operands, with rows at multiples of 16 bytes. */
constexpr double kUpAnyStep = 492, kUpAnyReads = 61, kUpAnyModule = 215, kUpAnyMoreRanks = 143;
constexpr double kUpAnyMasked = 97, kUpAnyMaskedModule = 311, kUpAnyMasks = 280, kUpAnyKept = 81;
/**
 * What grad keeps a multiprocessor's memory busy with that it has to itself, in bytes a microsecond: two blocks have two tiles
 * of 64 rows and 128 columns each on their way, of 16 bits, for a microsecond where memory serves others too.
 */
constexpr double kBytesOfIdle = 2 * 2 * 64 * 128 * 2;
/**
 * Clocks of a multiprocessor for each tile of dX by warpgroups and each module that drops: the ranks' products, 64 columns at a
 * time, are masked and added to the tile's sums while the tensor cores have nothing else to do. At 16 ranks that is 661
 * instructions of a warp, of which a scheduler has two.
 */
constexpr double kMaskedRanks = 1500;
/** Instructions of a draw there, whose keys are made anew for each word of four, and its places by rows of 64 bits. */
constexpr double kMaskedDraw = 85;
/** Of importance, in 16 bits, a weight with its gradient. A thread does it, so that a warp's instructions serve 32 weights. */
constexpr double kImportanceWeight = 20;
/** Of a quantile's first round, which counts every weight, and of later ones, which find few that share the digits found. */
constexpr double kQuantileWeight = 15, kQuantilePassed = 9;
/** Of decoding a quantised W into 16 bits, from tables of NF4 and from int8. */
constexpr double kDecodedNf4 = 14.75, kDecodedInt8 = 21;

/** Importance of so many weights. */
inline Cost importance_cost(double weights, double element_bytes) {
  Cost cost = {2 * element_bytes * weights, 0, 0, 1};
  if (element_bytes == 2) cost.instructions = weights * kImportanceWeight / 32;
  return cost;
}

/** Rounds of a quantile, each of which reads all weights in one launch and ends with another: so many bits at a time. */
constexpr int quantile_rounds(int64_t element_bytes) {
  return element_bytes == 2 ? 2 : 3;
}
inline Cost quantile_cost(double weights, int64_t element_bytes) {
  const int rounds = quantile_rounds(element_bytes);
  Cost cost = {};
  cost.bytes = weights * static_cast<double>(element_bytes);
  cost.launches = 1 + 2 * rounds;  // before the rounds one that begins
  cost.again_bytes = (rounds - 1) * cost.bytes;
  cost.again_span = cost.bytes;
  if (element_bytes == 2) cost.instructions = weights * (kQuantileWeight + (rounds - 1) * kQuantilePassed) / 32;
  return cost;
}

/** A quantised W [N,K], whose codes and scales are so many bytes, decoded into the workspace. */
inline Cost decode_cost(pp_quantization type, double weights, double code_bytes, double element_bytes) {
  Cost cost = {};
  cost.bytes = code_bytes + weights * element_bytes;
  cost.launches = 1;
  if (element_bytes == 2) cost.instructions = weights * (type == PP_NF4 ? kDecodedNf4 : kDecodedInt8) / 32;
  return cost;
}

/**
 * Costs of the calls on a linear [M,K] to [M,N]; `size` is bytes an element. Several modules are on all rows and share out the
 * columns of y, as query, key and value do. Of several the ranks and tiles are known together: each has its share of them, as
 * if they were alike.
 */
struct Costs {
  double M, K, N, r, size;    // r: the modules' ranks together
  int masks = 0;              // of dropout: a module has its own
  int multiprocessors = 132;  // which decide how often a product that makes S does so
  bool kept = false;          // masks are written by the forward pass, and read by the backward pass
  int modules = 1;
  double rank_tiles = 0;              // of 16 ranks, each module's apart; 0: as few as r has
  int runs = 1;                       // adapters of r ranks each that share out the rows of one call of a skinny product
  double cache_bytes = 50 << 20;      // of L2, by which row tiles of a product are worked on together
  bool whole_ranks = true;            // each module's is a multiple of 8; else up takes its kernel for any operands
  int64_t shared_bytes = 227 * 1024;  // that a block may have
  static constexpr double kAsIfAlike = -1;
  double cuts = kAsIfAlike;  // of modules, where chunks of ranks end amid them (least_modules_cut)

  /**
   * Whether all modules drop or none does: one call takes them then, and so do the fused kernels (`fuses` in linear.cpp). By
   * their number alone: modules that all drop are taken to do so alike (`drop_alike` in modules.h, which compares rate, seed
   * and step); where they do not, calls are cut into more than is predicted here.
   */
  bool drops_alike() const { return masks == 0 || masks >= modules; }
  /** Those modules that drop alone, and those that do not. */
  Costs dropping() const { return part(masks, masks); }
  Costs not_dropping() const { return part(modules - masks, 0); }

  Cost frozen() const { return frozen_adding(0); }
  /** The product that adds to its result of so many columns, whose read is taken to be hidden as the other operands' is. */
  Cost frozen_adding(double columns) const {
    return reading_again({0, 0, 2 * M * K * N, 1, 0, 0, 0, product_operands(0) + size * M * columns}, LinearPath::kLargeTile, N,
                         K);
  }
  Cost down() const {
    Cost cost = {size * (M * K * times_read(K) + runs * r * K + M * r) + kept_bytes(), 2 * M * K * padded_ranks(), 0,
                 down_shares() > 1 ? 2 : 1, masks_of_chunks() * groups()};
    if (down_shares() > 1) cost.slot_bytes = kSlotBytes * down_shares() * M * r;
    if (size == 2) {
      double chunk = kDownStep - kDownMoreRanks;
      if (takes_any_tiles() && masks > 0) chunk += kDownAnyMasks;
      if (takes_any_tiles() && masks == 0 && modules <= 1) chunk -= kDownAnyLess;
      if (modules > 1) chunk += kDownModules;
      // Of the chunks that draw a module's mask one writes it.
      const double step = chunks() * chunk + kDownMoreRanks * padded_ranks() / 16 + masks_of_chunks() * kDownMasks +
                          (kept ? masks * kDownKeeps : 0);
      cost.instructions = M / 16 * K / 64 * step;
    }
    return cost;
  }
  /** y is read too, or overwritten. A launch for each module. */
  Cost up(bool adds = true) const {
    Cost cost = {size * ((adds ? 2 : 1) * M * N + (M + runs * N / sharers()) * r), 2 * M * N * ranks_of_column(), 0, sharers()};
    cost.instructions = up_instructions(N, adds, 1, ranks_of_column() / 16);
    return cost;
  }
  /** A call for each module, of which several are taken to be alike, each with a column of y or more. */
  Cost grad_up() const {
    if (modules > 1) {
      Cost cost = {};
      const double columns = std::max(1.0, std::floor(N / modules));
      Costs one = of_matrix(K, columns);
      one.r = r / modules;
      one.rank_tiles = rank_tiles / modules;
      for (int i = 0; i < modules; i++) cost += one.grad_up();
      return cost;
    }
    Cost cost = grad(N, true, false);
    cost.bytes = size * (M * N * times_read(N) + runs * N * r + 2 * M * r) + kSlotBytes * runs * N * r;
    return cost;
  }
  Cost grad_down() const {
    Cost cost = grad(K, false, masks > 0);
    const double of_masks = masks_of_chunks() * groups();  // a byte each, or a draw
    cost.bytes = size * (M * K * times_read(K) + M * r) + kSlotBytes * runs * K * r + (kept ? of_masks : 0);
    cost.draws = kept ? 0 : of_masks;
    return cost;
  }
  Cost grad_input(bool adds = true) const {
    Cost cost = {size * ((adds ? 2 : 1) * M * K + M * r + runs * r * K) + kept_bytes(), 2 * M * K * padded_ranks(), 0, 1,
                 draws_again()};
    cost.instructions = up_instructions(K, adds, sharers(), padded_ranks() / 16);
    if (size == 2 && masks > 0) {
      const double of_kernel = whole_ranks ? kUpMasked : kUpAnyMasked;
      const double of_module = kept ? whole_ranks ? kUpKept : kUpAnyKept : whole_ranks ? kUpMasks : kUpAnyMasks;
      const double more = whole_ranks ? kUpMaskedModule - kUpModule : kUpAnyMaskedModule - kUpAnyModule;
      cost.instructions += M / 16 * K / 64 * (of_kernel + (sharers() - 1) * more + masks * of_module);
    }
    return cost;
  }
  Cost fused_forward(LinearPath path) const {
    const double operands = product_operands(r * (M + K + N / sharers()));
    if (!is_by_warpgroups(path)) {
      Cost cost = {operands + kept_bytes(), 2 * M * K * N + 2 * M * r * (K + N / sharers()), 0, 2,
                   masks_of_chunks() * groups()};
      if (down_shares() > 1 && r > 0) cost.slot_bytes = kSlotBytes * down_shares() * M * r;
      return reading_again(cost, path, N, K);
    }
    if (path == LinearPath::kClustersWithS) {
      Cost cost = by_warpgroups(path, 2 * M * (N * (K + ranks_of_column()) + K * columns_of_s_made()));
      cost.launches = 1;
      cost.product_bytes = operands + kept_bytes();
      return reading_again(cost, path, N, K);
    }
    Cost cost = down();
    if (M <= kMostRowsInTwoLaunches) cost.slot_bytes = 0;
    cost.launches = (cost.slot_bytes > 0 ? 2 : 1) + 1;  // those of S come before the product's
    Cost product = by_warpgroups(path, 2 * M * N * (K + ranks_of_column()));
    product.product_bytes = product_operands(r * (M + N / sharers()));
    cost += reading_again(product, path, N, K);
    return cost;
  }
  Cost fused_grad_input(LinearPath path) const {
    const double operands = product_operands(r * (M + K)) + kept_bytes();
    if (!is_by_warpgroups(path))
      return reading_again({operands, 2 * M * K * N + 2 * M * r * K, 0, 1, draws_again()}, path, K, N);
    Cost cost = by_warpgroups(path, 2 * M * K * (N + padded_ranks()));
    cost.launches = 1;
    cost.product_bytes = operands;
    cost = reading_again(cost, path == LinearPath::kClustersWithS ? LinearPath::kWarpgroupClusters : path, K, N);
    cost.clocks = masks * kMaskedRanks * static_cast<double>(turns_of_dx(path));
    // The first mask is drawn beside the products, others at their turn.
    if (masks > 1) cost.draws = draws_again() * (masks - 1) / masks * kMaskedDraw / kInstructionsADraw;
    return cost;
  }
  /** Of one module: dX, dS and dB by one launch, and one that adds dB's parts, of which each row tile has one. */
  Cost grad_input_with_ds() const {
    const auto [makings, columns] = makings_of(K, N);
    Cost cost = by_warpgroups(LinearPath::kClustersWithS, 2 * M * (K * (N + padded_ranks()) + N * columns * (makings + 1)));
    const TileSize tile = tile_size(LinearPath::kClustersWithS, static_cast<int64_t>(size));
    cost.bytes = kSlotBytes * std::ceil(M / static_cast<double>(tile.rows)) * N * r;
    cost.launches = 2;
    // The parts are written beside the products.
    cost.product_bytes = product_operands(r * (2 * M + K + N)) + kSlotBytes * N * r + cost.bytes;
    return reading_again(cost, LinearPath::kClustersWithS, K, N);
  }
  /** Multiprocessors that dX by warpgroups leaves to what runs beside it (`busy_runners`). */
  double idle_beside_dx(LinearPath path) const {
    const auto [works, runners] = runs_of_dx(path);
    return static_cast<double>(std::max<int64_t>(multiprocessors - blocks_of(path) * busy_runners(works, runners), 0));
  }
  /** Our own product without ranks, in either direction. */
  Cost fused_frozen(LinearPath path) const {
    const LinearPath alone = path == LinearPath::kClustersWithS ? LinearPath::kWarpgroupClusters : path;
    if (!is_by_warpgroups(path)) return reading_again({product_operands(0), 2 * M * K * N, 0, 1}, alone, N, K);
    Cost cost = by_warpgroups(path, 2 * M * K * N);
    cost.launches = 1;
    cost.product_bytes = product_operands(0);
    return reading_again(cost, alone, N, K);
  }
  /** The product without ranks with a quantised W, whose codes and scales are so many bytes, decoded in each row of tiles. */
  Cost frozen_codes(double code_bytes) const {
    Cost cost = {size * M * (K + N) + code_bytes, 2 * M * K * N, 0, 1};
    constexpr double kLanes = 32;
    const double row_tiles = std::ceil(M / static_cast<double>(tile_size(LinearPath::kSmallTile, 2).rows));
    cost.instructions = kInstructionsACode * N * K * row_tiles / kLanes;
    return cost;
  }
  /** A float64 of each block, which a second launch adds. */
  Cost magnitude() const {
    constexpr double kTile = 64;
    Cost cost = {size * (M + N) * r, 2 * M * N * r, 0, 2};
    cost.slot_bytes = static_cast<double>(sizeof(double)) * std::ceil(M / kTile) * std::ceil(N / kTile);
    return cost;
  }
  /** z by a down product, and an up product that reads h. */
  Cost adapter_forward() const {
    Cost cost = down();
    cost += of_matrix(r, K).up();
    return cost;
  }
  /** dz, dU and the bias from dout, dD from v, and dv; the gradient of D's bias from dz. */
  Cost adapter_backward() const {
    const Costs of_dout = of_matrix(K, K);
    Cost cost = of_dout.grad_up();
    cost += of_dout.grad_down();
    cost += of_dout.grad_input(false);
    cost.launches += 3;  // σ(z), and two for the gradient of D's bias
    return cost;
  }

 private:
  static constexpr double kSlotBytes = sizeof(float);

  /** Of one module without dropout on a matrix of other widths, on the same device. */
  Costs of_matrix(double inner, double columns) const {
    Costs costs = {M, inner, columns, r, size, 0, multiprocessors};
    costs.cache_bytes = cache_bytes;
    costs.whole_ranks = whole_ranks;
    costs.shared_bytes = shared_bytes;
    return costs;
  }
  Costs part(int count, int drop) const {
    Costs costs = *this;
    costs.r = r * count / modules;
    costs.rank_tiles = std::ceil(padded_ranks() / 16 * count / modules);
    costs.modules = count;
    costs.masks = drop;
    costs.cuts = kAsIfAlike;
    return costs;
  }
  /** One read of a matrix of so many columns: column products, of a masked matrix or not, and row products on request. */
  Cost grad(double columns, bool rows, bool masked) const {
    Cost cost = {0, (rows ? 4 : 2) * M * columns * padded_ranks(), 0, rows && runs > 1 ? 3 : 2};
    if (M < 1) return cost;
    const GradSplit split = split_grad(static_cast<int64_t>(size), rows_of_run(), static_cast<int64_t>(columns), rows);
    cost.slot_bytes = kSlotBytes * static_cast<double>(runs * split.rows.shares) * columns * r;
    if (rows) cost.slot_bytes += kSlotBytes * static_cast<double>(split.column_blocks) * M * r;
    if (size == 2) {
      const bool takes_four =
          modules <= 1 && runs == 1 && padded_ranks() == 48 && three_tiles_take_four(2, rows, masked, shared_bytes);
      double chunk = kGradStep - kGradMoreRanks;
      if (takes_any_tiles() && !takes_four) chunk += kGradAny + (!masked ? 0 : kept ? kGradAnyKept : kGradAnyMasks);
      if (modules > 1) chunk += kGradModules;
      const double tiles = padded_ranks() / 16;
      const double step = chunks() * chunk + kGradMoreRanks * (takes_four ? 4 : tiles) + (rows ? kGradRows * tiles : 0) +
                          (masked ? masks_of_chunks() * (kept ? kGradKept : kGradMasks) : 0);
      cost.instructions = M / 64 * columns / 16 * step;
    }
    // Multiprocessors without a block issue nothing.
    const double idle =
        std::max(1.0, static_cast<double>(multiprocessors) / (static_cast<double>(runs * split.blocks()) * chunks()));
    cost.instructions *= idle;
    cost.own_flops *= idle;
    return cost;
  }
  double up_instructions(double columns, bool adds, int of_modules, double tiles) const {
    if (size != 2) return 0;
    const double more_ranks = tiles - of_modules, more_modules = of_modules - 1;
    const double step =
        whole_ranks ? kUpStep + (adds ? kUpReads : 0) + kUpModule * more_modules + kUpMoreRanks * more_ranks
                    : kUpAnyStep + (adds ? kUpAnyReads : 0) + kUpAnyModule * more_modules + kUpAnyMoreRanks * more_ranks;
    return M / 16 * columns / 64 * step;
  }
  /** Blocks that take a tile each together. */
  static int64_t blocks_of(LinearPath path) { return path == LinearPath::kWarpgroup ? 1 : kClusterBlocks; }
  /** Of dX by warpgroups, tiles or pairs of them, and those that take them in turns. */
  struct Runs {
    int64_t works, runners;
  };
  Runs runs_of_dx(LinearPath path) const {
    const TileSize tile = tile_size(path, static_cast<int64_t>(size));
    const int64_t blocks = blocks_of(path);
    return {tiles_of(static_cast<int64_t>(M), blocks * tile.rows) * tiles_of(static_cast<int64_t>(K), tile.columns),
            std::max<int64_t>(multiprocessors / blocks, 1)};
  }
  int64_t turns_of_dx(LinearPath path) const {
    const auto [works, runners] = runs_of_dx(path);
    return tiles_of(works, runners);
  }
  /** Bytes of x, W and y, each once, and so many elements of what is narrow. */
  double product_operands(double narrow) const { return size * (M * (K + N) + N * K + narrow); }
  /**
   * W is read once for each group of row tiles (order.h), and between two readings of a part of it pass the rest and the
   * group's rows of the operands and of the result.
   */
  Cost reading_again(Cost cost, LinearPath path, double columns, double inner) const {
    const TileSize tile = tile_size(path, static_cast<int64_t>(size));
    const auto rows = static_cast<int64_t>(M);
    if (rows == 0) return cost;
    int64_t group_rows = 0, row_tiles = 0;
    if (path == LinearPath::kClustersWithS) {
      const LinearOrder order = order_of_products(columns, inner);
      row_tiles = order.row_tiles * kClusterBlocks;
      group_rows = order.group_rows * kClusterBlocks;
      // The clusters of a group each have rows of their own, and take their tiles side by side.
      const auto length = static_cast<double>(run_length(order, order.group_rows, clusters()));
      const double at_once = static_cast<double>(std::min(group_rows * tile.rows, rows));
      cost.left_bytes += size * M * inner * (std::min(length, static_cast<double>(order.column_tiles)) - 1);
      cost.left_span = std::max(cost.left_span, size * at_once * (inner + static_cast<double>(tile.columns)));
    } else {
      DeviceTraits traits = {};
      traits.multiprocessors = multiprocessors;
      traits.l2_bytes = static_cast<int64_t>(cache_bytes);
      row_tiles = tiles_of(rows, tile.rows);
      group_rows = default_group_rows(
          traits, {rows, static_cast<int64_t>(columns), static_cast<int64_t>(inner), static_cast<int64_t>(size)}, tile);
    }
    const double of_group = static_cast<double>(std::min(group_rows * tile.rows, rows));
    cost.again_bytes += static_cast<double>(tiles_of(row_tiles, group_rows) - 1) * size * N * K;
    cost.again_span = std::max(cost.again_span, size * (N * K + of_group * (K + N + r)));
    return cost;
  }
  int64_t rows_of_run() const { return std::max<int64_t>(static_cast<int64_t>(M) / runs, 1); }
  static Cost by_warpgroups(LinearPath path, double flops) {
    Cost cost;
    (path == LinearPath::kWarpgroup ? cost.warpgroup_flops : cost.cluster_flops) = flops;
    return cost;
  }
  /** How often S of a row is made with tiles of so many columns, or dS, and what that costs a tile, in columns. */
  struct Makings {
    double of_row, columns;
  };
  Makings makings_of(double columns, double inner) const {
    if (M < 1) return {0, 0};
    return {makings_of_row(order_of_products(columns, inner), clusters()),
            static_cast<double>(columns_of_s(static_cast<int64_t>(padded_ranks() / kRankTileRanks), masks != 0))};
  }
  int64_t clusters() const { return std::max<int64_t>(multiprocessors / kClusterBlocks, 1); }
  /** Of clusters that make S, or dS. */
  LinearOrder order_of_products(double columns, double inner) const {
    LinearShape shape = {static_cast<int64_t>(M), static_cast<int64_t>(columns), static_cast<int64_t>(inner),
                         static_cast<int64_t>(size)};
    shape.rank_tiles = static_cast<int64_t>(padded_ranks() / kRankTileRanks);
    shape.masked = masks != 0;
    return order_of_runs(shape, clusters());
  }
  /** S made with tiles of y, as columns of it. */
  double columns_of_s_made() const {
    const auto [makings, columns] = makings_of(N, K);
    return makings * columns;
  }
  double groups() const { return M * K / 8; }
  /** In a call that makes dX. */
  double draws_again() const { return kept ? 0 : masks * groups(); }
  /** Masks, each as often as there are chunks with ranks of its module: all of them draw it, or read it. */
  double masks_of_chunks() const { return masks * (1 + (cuts == kAsIfAlike ? cuts_if_alike() : cuts) / sharers()); }
  double cuts_if_alike() const {
    const double tiles = std::max<double>(padded_ranks() / 16, sharers()), each = tiles / sharers();
    const auto first_tile = [&](int i) { return static_cast<int64_t>(i * each); };
    return static_cast<double>(least_modules_cut(static_cast<int64_t>(tiles), modules, first_tile));
  }
  /** A bit an element, written or read. */
  double kept_bytes() const { return kept ? masks * groups() : 0; }
  /** Modules among which y's columns are shared out; without modules it is all the same. */
  int sharers() const { return std::max(modules, 1); }
  /** Products take 16 ranks at a time. */
  double padded_ranks() const { return 16 * (rank_tiles > 0 ? rank_tiles : std::ceil(r / 16)); }
  /** Those of the modules that a column of y has. */
  double ranks_of_column() const { return padded_ranks() / sharers(); }
  /** Whether down and grad go by the kernels for any number of tiles. */
  bool takes_any_tiles() const {
    const double tiles = padded_ranks() / 16;
    return modules > 1 || !(tiles == 1 || (runs == 1 && (tiles == 2 || tiles == 4)));
  }
  /** A block holds 80 ranks; more read the wide matrix again. */
  double chunks() const { return std::ceil(padded_ranks() / 16 / kChunkTiles); }
  /** How often the chunks read a wide matrix of so many columns from memory, which L2 has from the first on if it holds it. */
  double times_read(double columns) const { return size * M * columns > cache_bytes ? chunks() : 1; }
  double down_shares() const {
    return M < 1 ? 1 : static_cast<double>(split_columns(rows_of_run(), static_cast<int64_t>(K)).shares);
  }
};

/** Microseconds of a call on x or dX: of modules of which some drop and some do not, of one for each kind. */
template <class Call>
double predict_masked(const Ceilings& ceilings, const Costs& costs, Call call) {
  if (costs.drops_alike()) return predict(ceilings, call(costs));
  return predict_sequence(ceilings, call(costs.dropping()), call(costs.not_dropping()));
}

/**
 * Microseconds of y = x Wᵀ + S Bᵀ by a path, the fused one by the kernel `fused`; without ranks, of the product alone. Modules
 * of which some drop and some do not are no part of the fused product: split's calls follow it.
 */
inline double predict_forward(const Ceilings& ceilings, const Costs& cost, pp_linear_path path,
                              LinearPath fused = LinearPath::kLargeTile) {
  const Cost product = path == PP_FUSED ? cost.fused_frozen(fused) : cost.frozen();
  if (cost.r == 0) return predict(ceilings, product);
  if (path == PP_FUSED && cost.drops_alike()) return predict(ceilings, cost.fused_forward(fused));
  return predict_sequence(ceilings, product, cost.up()) +
         predict_masked(ceilings, cost, [](const Costs& of) { return of.down(); });
}

/**
 * Microseconds of dX by warpgroups with dA beside it, on the multiprocessors that dX leaves; what is left of dA when dX is done
 * has all of them. Where the two meet again there is a launch's time.
 */
inline double predict_beside(const Ceilings& ceilings, const Costs& costs, LinearPath path) {
  const Cost of_da = costs.grad_down();
  const double of_dx = predict(ceilings, costs.fused_grad_input(path));
  const double idle = costs.idle_beside_dx(path), share = idle / costs.multiprocessors;
  double hidden = 0;
  if (idle > 0) {
    Ceilings of_idle = ceilings;
    of_idle.copy_bytes = std::min(ceilings.copy_bytes, idle * kBytesOfIdle);
    of_idle.own_flops *= share;
    of_idle.draws *= share;
    of_idle.instructions *= share;
    hidden = std::min(1.0, of_dx / predict(of_idle, of_da));
  }
  return of_dx + (1 - hidden) * predict(ceilings, of_da) + ceilings.launch;
}

/**
 * Microseconds of dX, dA and dB by warpgroups, dA beside dX: of modules that drop alike. `fused` is the kernel of dX where dA
 * comes after it.
 */
inline double predict_branched(const Ceilings& ceilings, const Costs& cost, LinearPath fused) {
  const LinearPath path = fused == LinearPath::kClustersWithS ? LinearPath::kWarpgroupClusters : fused;
  return predict(ceilings, cost.grad_up()) + predict_beside(ceilings, cost, path);
}

/** Microseconds of dX, dA and dB by a path, one after the other. */
inline double predict_backward(const Ceilings& ceilings, const Costs& cost, pp_linear_path path,
                               LinearPath fused = LinearPath::kLargeTile) {
  if (cost.r == 0) return predict_forward(ceilings, cost, path, fused);
  const double of_da = predict_masked(ceilings, cost, [](const Costs& of) { return of.grad_down(); });
  const bool fuses = path == PP_FUSED && cost.drops_alike();
  if (fuses && fused == LinearPath::kClustersWithS) return predict(ceilings, cost.grad_input_with_ds()) + of_da;
  if (fuses) return predict_sequence(ceilings, cost.fused_grad_input(fused), cost.grad_up()) + of_da;
  const Cost product = path == PP_FUSED ? cost.fused_frozen(fused) : cost.frozen();
  return predict_sequence(ceilings, product, cost.grad_up()) + of_da +
         predict_masked(ceilings, cost, [](const Costs& of) { return of.grad_input(); });
}

/**
 * Microseconds by another order than split's: the ranks' part is written first, and the library's product adds to it. So
 * neither y nor dX is read by a pass of its own. gpu-check measures it; pp_linear_choose_paths doesn't know it.
 */
inline double predict_forward_ranks_first(const Ceilings& ceilings, const Costs& cost) {
  return predict_sequence(ceilings, cost.down(), cost.up(false), cost.frozen_adding(cost.N));
}
inline double predict_backward_ranks_first(const Ceilings& ceilings, const Costs& cost) {
  return predict_sequence(ceilings, cost.grad_up(), cost.grad_input(false), cost.frozen_adding(cost.K), cost.grad_down());
}
}  // namespace prunepeft::cuda
