// The product dX = dY W + dS A of linear_warpgroup.cuh that also makes dS = s·dY B and dB = dYᵀ S, so that dY is read once.
//
// Tiling: as linear_with_s.cuh, whose runs these are. With the first tile of a row the warpgroups also multiply the 128 rows by
// 64 columns of dY that each step has brought: by 64 rows of B, for dS, which stays in registers for the run's tiles; and
// transposed by the tile's 128 rows of S, for dB. The runs that make dS of a row share out its steps for dB. Of these the
// warpgroups take every second one in turns, each the whole step, so that no sum is added to another's: a step's dB of a row
// tile goes to a slot of its own, and is stored while the next step is multiplied. The slots are added in order by a second
// launch. Whoever makes them, dS and dB have the same bits.
//
// B's rows have the ranks along them: a box of 64 columns, of which the rank counts. What lies beyond N arrives as zeros, so
// that there is an even number of steps. One module, without dropout.
//
// Limit: as linear_with_s.cuh, twice; and 4 M N r / 128 bytes of slots.
#pragma once

#include "linear/cuda/grad.cuh"
#include "linear/cuda/linear_with_s.cuh"

namespace prunepeft::cuda {
/** What a block has for dS and dB of so many tiles of ranks. */
template <int kTiles>
struct MakingDsTile {
  static constexpr int kStages = WarpgroupTile::kStages - 1;
  using Place = RingPlace<kStages>;
  static constexpr int kSums = MakingTile<kTiles>::kSums;
  /** A step's rows of B; and S of the block's rows. */
  static constexpr int kStageBytes = WarpgroupTile::kSlabBytes, kSBytes = WarpgroupTile::kRows * WarpgroupTile::kRowBytes;
  static constexpr int kRingAt = kStages * WarpgroupTile::kStageBytes;
  static constexpr int kSAt = kRingAt + kStages * kStageBytes, kOutAt = kSAt + kSBytes;
  static constexpr size_t kBytes =
      WarpgroupTile::kBytes - WarpgroupTile::kStages * WarpgroupTile::kStageBytes + static_cast<size_t>(kOutAt);
  static_assert(kBytes <= WarpgroupTile::kMostBytes, "a block fits");
  /** The ring leaves a pair of barriers for S. */
  static constexpr int kBarrierOfS = kStages;
};

/** Steps of a tile: those that make dS are even in number. */
template <class T>
GPU_INLINE int steps_of_tile(const LinearArguments<T>& product, bool makes) {
  const auto steps = static_cast<int>(gpu::divide_up(product.left.columns, WarpgroupTile::kInner));
  return makes ? steps + steps % 2 : steps;
}

/** Has every step of every tile of this block copied, in order. One thread. */
template <class T, int kTiles>
GPU_INLINE void copy_steps_with_ds(const WarpgroupArguments<T>& arguments, unsigned char* ring, RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  using Making = MakingDsTile<kTiles>;
  constexpr int kBlocks = kClusterBlocks, kShareRows = Tile::kInner / kBlocks, kShareBytes = Making::kStageBytes / kBlocks;
  const LinearArguments<T>& product = arguments.product;
  const ClusterTurns turns = {product.order, {}};
  const int rank = turns.cluster.rank, first_of_b = rank * kShareRows - static_cast<int>(arguments.db.first_column);
  const auto count = static_cast<int>(turns.count);
  typename Making::Place place;
  unsigned parity_of_s = 1;
#pragma unroll 1
  for (int turn = 0; turn < count; turn++) {
    const LinearWork work = turns.work(turn);
    if (work.row < 0) continue;
    const bool makes = work.makes_s;
    const int row = static_cast<int>(turns.cluster.row(work)), column = static_cast<int>(work.column) * Tile::kColumns;
    if (makes) {
      ptx::mbarrier_wait(&barriers.empty[Making::kBarrierOfS], parity_of_s);
      parity_of_s ^= 1;
      ptx::mbarrier_arrive_expect(&barriers.full[Making::kBarrierOfS], Making::kSBytes);
      ptx::bulk_load(ring + Making::kSAt, &arguments.slab_left[1], 0, row, &barriers.full[Making::kBarrierOfS]);
    }
    const int end = steps_of_tile(product, makes) * Tile::kInner;
#pragma unroll 1
    for (int inner = 0; inner < end; inner += Tile::kInner) {
      unsigned char* const stage = ring + place.stage * Tile::kStageBytes;
      uint64_t* const full = &barriers.full[place.stage];
      ptx::mbarrier_wait(&barriers.empty[place.stage], place.parity ^ 1);
      ptx::mbarrier_arrive_expect(full, Tile::kStageBytes + (makes ? Making::kStageBytes : 0));
      ptx::bulk_load(stage, &arguments.left, inner, row, full);
      copy_right<Inner::kAlongColumn, kBlocks>(stage, &arguments.right, inner, column, rank, full);
      if (makes)
        copy_shared<kBlocks>(ring + Making::kRingAt + place.stage * Making::kStageBytes + rank * kShareBytes,
                             &arguments.slab_left[0], 0, inner + first_of_b, full);
      place.advance();
    }
    ptx::mbarrier_wait(&barriers.empty[place.stage], place.parity ^ 1);
    ptx::mbarrier_arrive_expect(&barriers.full[place.stage], Tile::kRightBytes);
    copy_right<Inner::kAlongColumn, kBlocks>(ring + place.stage * Tile::kStageBytes, &arguments.slab_right[0], 0, column, rank,
                                             &barriers.full[place.stage]);
    place.advance();
  }
}

/** Where a box whose rows have columns along them begins, from row `row` on. */
GPU_INLINE uint64_t column_operand(const unsigned char* box, int row) {
  using Tile = WarpgroupTile;
  return ptx::swizzled_operand(box + row * Tile::kRowBytes, Tile::kSlabBytes, Tile::kAtomBytes);
}

/** Lets a step's products begin: of the tile, with kMakes of dS, with kDb of all its rows' dB. */
template <class T, int kTiles, bool kMakes, bool kDb>
GPU_INLINE void begin_step(float (&sums)[kSumsOfTile], float (&ds)[MakingDsTile<kTiles>::kSums],
                           float (&db)[MakingDsTile<kTiles>::kSums], const unsigned char* ring, RingBarriers& barriers,
                           const typename MakingDsTile<kTiles>::Place& at, const ConsumerPlace& place) {
  using Tile = WarpgroupTile;
  using Making = MakingDsTile<kTiles>;
  const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
  const unsigned char* const of_b = ring + Making::kRingAt + at.stage * Making::kStageBytes;
  const unsigned char* const of_s = ring + Making::kSAt;
  ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
  ptx::wgmma_fence();
#pragma unroll
  for (int k = 0; k < Tile::kInner; k += Tile::kProductInner) {
    ptx::wgmma_m64n256k16<true>(sums, left_operand(stage, place.group, k), right_operand<Inner::kAlongColumn>(stage, 0, k),
                                T{});
    if constexpr (kMakes) ptx::wgmma_narrow<false, true>(ds, left_operand(stage, place.group, k), column_operand(of_b, k), T{});
  }
  if constexpr (kDb) {
    ptx::wgmma_narrow<true, true, false>(db, column_operand(stage, 0), column_operand(of_s, 0), T{});
#pragma unroll
    for (int k = Tile::kProductInner; k < Tile::kRows; k += Tile::kProductInner)
      ptx::wgmma_narrow<true, true>(db, column_operand(stage, k), column_operand(of_s, k), T{});
  }
  ptx::wgmma_commit();
}

/** Waits for the step before the one that has begun, and releases its stage. */
template <class Place>
GPU_INLINE void end_step_before(RingBarriers& barriers, Place& at, int& last, const ConsumerPlace& place) {
  ptx::wgmma_wait<1>();
  if (last >= 0) release<kClusterBlocks>(barriers, last, place.lane);
  last = at.stage;
  at.advance();
}

/** One of the steps that make dS. */
template <class T, int kTiles, bool kDb>
GPU_INLINE void making_step(float (&sums)[kSumsOfTile], float (&ds)[MakingDsTile<kTiles>::kSums],
                            float (&db)[MakingDsTile<kTiles>::kSums], const unsigned char* ring, RingBarriers& barriers,
                            typename MakingDsTile<kTiles>::Place& at, int& last, const ConsumerPlace& place) {
  begin_step<T, kTiles, true, kDb>(sums, ds, db, ring, barriers, at, place);
  end_step_before(barriers, at, last, place);
}

/** Leaves dB of the step from column `n` of dY on in the slot of a row tile, which `there` is. */
template <int kSums>
GPU_INLINE void store_db(const float (&db)[kSums], const DbParts& parts, int64_t row_tile, bool there, int64_t n,
                         const ConsumerPlace& place) {
  const SlotPairs pairs(parts.of, parts.rank);
#pragma unroll
  for (int j = 0; j < kSums / 4; j++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int64_t column = n - parts.first_column + place.warp % 4 * WarpgroupTile::kOutRows + place.row + 8 * h;
      const int rank = 8 * j + place.column, left = parts.rank - rank;
      if (there && column >= 0 && column < parts.columns && left > 0)
        pairs.store(parts.of + (row_tile * parts.columns + column) * parts.rank + rank, db[4 * j + 2 * h],
                    db[4 * j + 2 * h + 1], left);
    }
}

/** Steps of a tile that makes dS, and of [from, to), both even, also dB: the warpgroup kGroup of every second one. */
template <class T, int kTiles, int kGroup>
GPU_INLINE void multiply_making(float (&sums)[kSumsOfTile], float (&ds)[MakingDsTile<kTiles>::kSums],
                                const WarpgroupArguments<T>& arguments, const unsigned char* ring, RingBarriers& barriers,
                                typename MakingDsTile<kTiles>::Place& at, int& last, int from, int to, int steps, int64_t row,
                                const ConsumerPlace& place) {
  constexpr int kInner = WarpgroupTile::kInner;
  const int64_t row_tile = row / WarpgroupTile::kRows;
  const bool there = row_tile * WarpgroupTile::kRows < arguments.product.left.rows;
  float db[MakingDsTile<kTiles>::kSums] = {};
  ptx::pin(db);
#pragma unroll 1
  for (int i = 0; i < from; i++) making_step<T, kTiles, false>(sums, ds, db, ring, barriers, at, last, place);
  if (from < to) {
    if (kGroup == 1) making_step<T, kTiles, false>(sums, ds, db, ring, barriers, at, last, place);
#pragma unroll 1
    for (int i = from + kGroup; i + kGroup < to; i += 2) {
      making_step<T, kTiles, true>(sums, ds, db, ring, barriers, at, last, place);
      making_step<T, kTiles, false>(sums, ds, db, ring, barriers, at, last, place);
      store_db(db, arguments.db, row_tile, there, int64_t{i} * kInner, place);
    }
    if (kGroup == 1) making_step<T, kTiles, true>(sums, ds, db, ring, barriers, at, last, place);
    ptx::wgmma_wait<0>();
    ptx::pin(sums);
    ptx::pin(ds);
    if (kGroup == 1) store_db(db, arguments.db, row_tile, there, int64_t{to - 1} * kInner, place);
  }
#pragma unroll 1
  for (int i = to; i < steps; i++) making_step<T, kTiles, false>(sums, ds, db, ring, barriers, at, last, place);
  ptx::wgmma_wait<0>();
  ptx::pin(sums);
  ptx::pin(ds);
}

/** Multiplies every step of every tile of this block, in the order of copy_steps_with_ds, and writes dS, dB's parts and the
 * tiles. Two warpgroups. */
template <class T, int kTiles>
GPU_INLINE void multiply_steps_with_ds(const WarpgroupArguments<T>& arguments, unsigned char* ring, RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  using Making = MakingDsTile<kTiles>;
  const LinearArguments<T>& product = arguments.product;
  const ConsumerPlace place;
  const ClusterTurns turns = {product.order, {}};
  T* const out = reinterpret_cast<T*>(ring + Making::kOutAt + place.warp * Tile::kOutBytes);
  unsigned s[kTiles][4] = {};  // dS of the run's row of tiles
  typename Making::Place at;
  unsigned parity_of_s = 0;
  for (int64_t turn = 0; turn < turns.count; turn++) {
    const LinearWork work = turns.work(turn);
    if (work.row < 0) continue;
    const int64_t column = work.column * Tile::kColumns;
    const int64_t row = turns.cluster.row(work) + place.warp * Tile::kOutRows;  // the warp's
    float sums[kSumsOfTile] = {}, ds[Making::kSums] = {};
    ptx::pin(sums);
    const int steps = steps_of_tile(product, work.makes_s);
    int last = -1;  // the stage that is being read
    if (work.makes_s) {
      ptx::pin(ds);
      const MakingOfRow making = making_of_row(product.order, turns.cluster.tickets, work);
      const auto begin = static_cast<int>(steps / 2 * making.index / making.count * 2);
      const auto end = static_cast<int>(steps / 2 * (making.index + 1) / making.count * 2);
      ptx::mbarrier_wait(&barriers.full[Making::kBarrierOfS], parity_of_s);
      parity_of_s ^= 1;
      if (place.group == 0)
        multiply_making<T, kTiles, 0>(sums, ds, arguments, ring, barriers, at, last, begin, end, steps, row, place);
      else
        multiply_making<T, kTiles, 1>(sums, ds, arguments, ring, barriers, at, last, begin, end, steps, row, place);
      release<kClusterBlocks>(barriers, Making::kBarrierOfS, place.lane);
      finish_s<T, kTiles>(s, ds, arguments, row, work.column == 0, place);
    } else {
      for (int i = 0; i < steps; i++) {
        begin_step<T, kTiles, false, false>(sums, ds, ds, ring, barriers, at, place);
        end_step_before(barriers, at, last, place);
      }
      ptx::wgmma_wait<0>();
      ptx::pin(sums);
    }
    release<kClusterBlocks>(barriers, last, place.lane);

    const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
    ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
    ptx::wgmma_fence();
#pragma unroll
    for (int t = 0; t < kTiles; t++)
      ptx::wgmma_m64n256k16<true>(sums, s[t], right_operand<Inner::kAlongColumn>(stage, 0, t * kTileRanks), T{});
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    ptx::pin(sums);
    release<kClusterBlocks>(barriers, at.stage, place.lane);
    at.advance();
    store_sums(sums, out, product, row, column, place);
  }
}

// CUDA kernels. For other targets than sm_90a they are traps.

template <class T, int kTiles>
__global__ void __launch_bounds__(WarpgroupTile::kThreads, 1)
    linear_grad_input_with_ds(const __grid_constant__ WarpgroupArguments<T> arguments) {
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  GPU_DYNAMIC_SHARED(memory);
  GPU_SHARED(RingBarriers, barriers);
  share_out_warpgroups<kClusterBlocks>(
      memory, barriers, [&](unsigned char* ring) { copy_steps_with_ds<T, kTiles>(arguments, ring, barriers); },
      [&](unsigned char* ring) { multiply_steps_with_ds<T, kTiles>(arguments, ring, barriers); });
#else
  static_cast<void>(arguments);
  __trap();
#endif
}
}  // namespace prunepeft::cuda
