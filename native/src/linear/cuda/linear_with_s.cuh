// The forward product of linear_warpgroup.cuh that also makes S = s·x Aᵀ, so that x is read once.
//
// Tiling: clusters take tiles in runs of neighbours in a row of tiles (order.h). With the first tile of a row the warpgroups
// also multiply the 64 columns of x that each step has brought by those of A: 8 more registers a thread and 2 KB more a stage
// for each 16 of up to 64 ranks; each block brings half of these for both. S is rounded, is written by the cluster that has
// column 0, and stays in registers for all of the run's tiles: an accumulator's layout is that of a left operand in registers.
// So S has the same bits wherever it is made, no block waits for another's, and the ranks' step brings B alone.
//
// Under dropout (kMasked, one module) S is of other operands than the product with W: the warps read the step's x into
// registers while the tensor cores multiply it by W, draw its masks, and multiply from registers. The cluster that writes S
// also keeps the masks, where they are to be kept.
//
// Limit: as linear_warpgroup.cuh, and of each row's first tile in a run (64 + n) / 4 clocks for 64 rows, n ranks and 16 of K,
// in which shared memory gives the operands of S; under dropout also the instructions of the masks (choice.h).
#pragma once

#include <cstring>

#include "linear/cuda/linear_warpgroup.cuh"

namespace prunepeft::cuda {
/** What a block has for S of so many tiles of ranks. */
template <int kTiles>
struct MakingTile {
  static constexpr int kTileBytes = kTileRanks * WarpgroupTile::kRowBytes, kStageBytes = kTiles * kTileBytes;
  /** Four of more than 32 ranks would not fit. */
  static constexpr int kStages = kTiles <= 2 ? WarpgroupTile::kStages : WarpgroupTile::kStages - 1;
  using Place = RingPlace<kStages>;
  /** Accumulators of a thread: those of a tile of ranks, and of all. */
  static constexpr int kTileSums = kTileRanks / 2, kSums = kTiles * kTileSums;
  /** The ring of A's rows lies behind the other, the result behind that. */
  static constexpr int kRingAt = kStages * WarpgroupTile::kStageBytes;
  static constexpr int kOutAt = kRingAt + kStages * kStageBytes;
  static constexpr size_t kBytes =
      WarpgroupTile::kBytes - WarpgroupTile::kStages * WarpgroupTile::kStageBytes + static_cast<size_t>(kOutAt);
  static_assert(kBytes <= WarpgroupTile::kMostBytes, "a block fits");
  static_assert(kTileBytes / kClusterBlocks % WarpgroupTile::kAtomBytes == 0, "each block brings whole atoms of the swizzle");
};
static_assert(kTileRanks == kRankTileRanks, "choice.h knows a tile of ranks");

/** The turns of a cluster, in which both blocks take tiles of one work. */
struct ClusterTurns {
  const LinearOrder& order;
  ClusterPlace<kClusterBlocks> cluster;
  int64_t count = run_turns(order, cluster.tickets);

  GPU_INLINE LinearWork work(int64_t turn) const { return run_work(order, cluster.tickets, cluster.first_ticket, turn); }
};

/** Has every step of every tile of this block copied, in order. One thread. */
template <class T, int kTiles>
GPU_INLINE void copy_steps_with_s(const WarpgroupArguments<T>& arguments, unsigned char* ring, RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  using Making = MakingTile<kTiles>;
  constexpr int kBlocks = kClusterBlocks, kShareRanks = kTileRanks / kBlocks, kShareBytes = Making::kTileBytes / kBlocks;
  const LinearArguments<T>& product = arguments.product;
  const ClusterTurns turns = {product.order, {}};
  const int rank = turns.cluster.rank;
  typename Making::Place place;
  for (int64_t turn = 0; turn < turns.count; turn++) {
    const LinearWork work = turns.work(turn);
    if (work.row < 0) continue;
    const int64_t row = turns.cluster.row(work), column = work.column * Tile::kColumns;
    for (LinearStep step = {-1, 0}; step.slab < product.slab_count;
         advance(step, product, Tile::kInner, column, Tile::kColumns)) {
      const bool ranks = step.slab >= 0, makes = !ranks && work.makes_s;
      const int inner = static_cast<int>(step.inner);
      const int first = static_cast<int>(column - (ranks ? product.slabs[step.slab].first_column : 0));  // may be negative
      unsigned char* const stage = ring + place.stage * Tile::kStageBytes;
      uint64_t* const full = &barriers.full[place.stage];
      ptx::mbarrier_wait(&barriers.empty[place.stage], place.parity ^ 1);
      ptx::mbarrier_arrive_expect(full, Tile::kRightBytes + (ranks ? 0 : Tile::kLeftBytes) + (makes ? Making::kStageBytes : 0));
      if (!ranks) ptx::bulk_load(stage, &arguments.left, inner, static_cast<int>(row), full);
      copy_right<Inner::kAlongRow, kBlocks>(stage, ranks ? &arguments.slab_right[step.slab] : &arguments.right, inner, first,
                                            rank, full);
      if (makes) {
        unsigned char* const of_a = ring + Making::kRingAt + place.stage * Making::kStageBytes + rank * kShareBytes;
#pragma unroll
        for (int t = 0; t < kTiles; t++) {
          const MadeRanks& made = arguments.made[t];
          copy_shared<kBlocks>(of_a + t * Making::kTileBytes, &arguments.slab_left[made.slab], inner,
                               made.first + rank * kShareRanks, full);
        }
      }
      place.advance();
    }
  }
}

/** Where the rows of A begin, at `k` of the step. */
GPU_INLINE uint64_t rank_operand(const unsigned char* of_a, int k) {
  constexpr unsigned kMeaningless = 16;
  return ptx::swizzled_operand(of_a + k * WarpgroupTile::kElementBytes, kMeaningless, WarpgroupTile::kAtomBytes);
}

/**
 * A tile's product with W and, with kMakes, what `of_s` becomes; all but the last step are waited for and released. The last
 * one's stage.
 */
template <class T, int kTiles, bool kMakes>
GPU_INLINE int multiply_inner(float (&sums)[kSumsOfTile], float (&of_s)[MakingTile<kTiles>::kSums],
                              const LinearArguments<T>& arguments, const unsigned char* ring, RingBarriers& barriers,
                              typename MakingTile<kTiles>::Place& at, const ConsumerPlace& place) {
  using Tile = WarpgroupTile;
  using Making = MakingTile<kTiles>;
  int last = -1;
  for (int64_t inner = arguments.left.columns; inner > 0; inner -= Tile::kInner) {
    const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
    const unsigned char* const of_a = ring + Making::kRingAt + at.stage * Making::kStageBytes;
    ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
    multiply_step(inner, [&](int k) {
      ptx::wgmma_m64n256k16<false>(sums, left_operand(stage, place.group, k), right_operand<Inner::kAlongRow>(stage, 0, k),
                                   T{});
      if (kMakes) ptx::wgmma_narrow<false, false>(of_s, left_operand(stage, place.group, k), rank_operand(of_a, k), T{});
    });
    ptx::wgmma_wait<1>();
    if (last >= 0) release<kClusterBlocks>(barriers, last, place.lane);
    last = at.stage;
    at.advance();
  }
  return last;
}

/** Draws the masks of a warp's rows, 64 columns of each at a time: of each row eight bytes, of which each lane has four. */
template <class T>
struct WarpMasks {
  static constexpr int kLaneColumns = 4 * kMaskColumns, kWordsARow = WarpgroupTile::kInner / kLaneColumns;
  static_assert(kWordsARow == 2 && 2 * kWordsARow == 4, "the two rows of four lanes have a word for each of them");
  const MaskOfMade& made;
  DropoutMask dropout;
  uint64_t group;    // of the lane's next word
  int64_t kept_at;   // where its first half is kept
  int64_t kept_end;  // 0: by another cluster, or not at all
  int64_t strip;

  /** `row` is the warp's. */
  GPU_INLINE WarpMasks(const WarpgroupArguments<T>& arguments, const DropoutMask& mask, int64_t row, bool keeps,
                       const ConsumerPlace& place)
      : made(arguments.mask), dropout(mask) {
    const int64_t M = arguments.product.left.rows, K = arguments.product.left.columns;
    const int64_t own_row = row + place.row + place.lane % 4 / kWordsARow * 8;
    const int64_t own_column = place.lane % kWordsARow * kLaneColumns;
    group = mask_group(own_row, own_column, K);
    kept_at = kept_index(own_row, own_column, M, K);
    kept_end = keeps && made.kept != nullptr ? kept_size(M, K) : 0;
    strip = kept_rows(M);
  }

  /** The next 64 columns' words: those of row lane / 4 + 8h are of[h]. */
  GPU_INLINE void draw(unsigned (&of)[2][kWordsARow], const ConsumerPlace& place) {
    const unsigned word = MaskGenerator(dropout, made.keys, made.name).template draw<4>(group);
    group += WarpgroupTile::kInner / kDropoutGroup;
    if (kept_at < kept_end) made.kept[kept_at] = static_cast<uint16_t>(word);
    if (kept_at + strip < kept_end) made.kept[kept_at + strip] = static_cast<uint16_t>(word >> 16);
    kept_at += WarpgroupTile::kInner / kKeptColumns * strip;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < kWordsARow; i++)
        of[h][i] = __shfl_sync(gpu::kFullMask, word, place.lane / 4 * 4 + kWordsARow * h + i);
  }
};

/** The warp's 16 rows of a step's left operand, from column `k` of the step on. */
template <class T>
GPU_INLINE LeftFragment<T> left_fragment(const unsigned char* stage, int k, const ConsumerPlace& place) {
  using Tile = WarpgroupTile;
  const int row = place.warp * Tile::kOutRows + place.lane % Tile::kOutRows;
  const int vector = k / Tile::kVector + place.lane / Tile::kOutRows;
  LeftFragment<T> left;
  ptx::ldmatrix_x4(left.r, stage + row * Tile::kRowBytes + (vector ^ row % Tile::kAtomRows) * 16);
  return left;
}

/** As multiply_inner with kMakes, of masked x. */
template <class T, int kTiles>
GPU_INLINE int multiply_masked_inner(float (&sums)[kSumsOfTile], float (&of_s)[MakingTile<kTiles>::kSums],
                                     const LinearArguments<T>& arguments, const unsigned char* ring, RingBarriers& barriers,
                                     typename MakingTile<kTiles>::Place& at, WarpMasks<T> masks, const ConsumerPlace& place) {
  using Tile = WarpgroupTile;
  using Making = MakingTile<kTiles>;
  constexpr int kProducts = Tile::kInner / Tile::kProductInner, kProductBytes = Tile::kProductInner / kMaskColumns;
  LeftFragment<T> x[kProducts];
  int last = -1;
  for (int64_t inner = arguments.left.columns; inner > 0; inner -= Tile::kInner) {
    const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
    const unsigned char* const of_a = ring + Making::kRingAt + at.stage * Making::kStageBytes;
    ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
    multiply_step(inner, [&](int k) {
      ptx::wgmma_m64n256k16<false>(sums, left_operand(stage, place.group, k), right_operand<Inner::kAlongRow>(stage, 0, k),
                                   T{});
    });
    ptx::wgmma_wait<1>();  // for the step before, whose x the registers hold
    if (last >= 0) release<kClusterBlocks>(barriers, last, place.lane);
    unsigned words[2][WarpMasks<T>::kWordsARow];
    masks.draw(words, place);
#pragma unroll
    for (int i = 0; i < kProducts; i++) {
      constexpr int kBytesAWord = 4;
      const int byte = i * kProductBytes, word = byte / kBytesAWord;
      x[i] = mask_rows(left_fragment<T>(stage, i * Tile::kProductInner, place), {words[0][word], words[1][word]},
                       byte % kBytesAWord);
    }
    __syncwarp();  // all lanes have read x, before one says so
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kProducts; i++) ptx::wgmma_narrow(of_s, x[i].r, rank_operand(of_a, i * Tile::kProductInner), T{});
    ptx::wgmma_commit();
    last = at.stage;
    at.advance();
  }
  ptx::wgmma_wait<0>();  // while the registers hold x
  return last;
}

/** S of the warp's rows, rounded, as left operands of 16 ranks each; written where `writes`. `row` is the warp's. */
template <class T, int kTiles>
GPU_INLINE void finish_s(unsigned (&s)[kTiles][4], const float (&of_s)[MakingTile<kTiles>::kSums],
                         const WarpgroupArguments<T>& arguments, int64_t row, bool writes, const ConsumerPlace& place) {
#pragma unroll
  for (int t = 0; t < kTiles; t++) {
    const MadeRanks& made = arguments.made[t];
#pragma unroll
    for (int j = 0; j < 2; j++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int64_t m = row + place.row + 8 * h;
        const int rank = 8 * j + place.column;
        T rounded[2];
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const bool there = rank + e < made.count;
          rounded[e] =
              gpu::from_float<T>(there ? of_s[t * MakingTile<kTiles>::kTileSums + 4 * j + 2 * h + e] * made.scale : 0.0f);
          if (writes && there && m < arguments.product.left.rows)
            static_cast<T*>(made.s)[m * made.lds + made.first + rank + e] = rounded[e];
        }
        memcpy(&s[t][2 * j + h], rounded, sizeof rounded);
      }
  }
}

/** Multiplies every step of every tile of this block, in the order of copy_steps_with_s, and writes S and the tiles. Two
 * warpgroups. */
template <class T, int kTiles, bool kMasked>
GPU_INLINE void multiply_steps_with_s(const WarpgroupArguments<T>& arguments, unsigned char* ring, RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  using Making = MakingTile<kTiles>;
  const LinearArguments<T>& product = arguments.product;
  const ConsumerPlace place;
  const ClusterTurns turns = {product.order, {}};
  const DropoutMask dropout = read_mask(product.dropout);
  T* const out = reinterpret_cast<T*>(ring + Making::kOutAt + place.warp * Tile::kOutBytes);
  unsigned s[kTiles][4] = {};  // of the run's row of tiles
  typename Making::Place at;
  for (int64_t turn = 0; turn < turns.count; turn++) {
    const LinearWork work = turns.work(turn);
    if (work.row < 0) continue;
    const int64_t column = work.column * Tile::kColumns;
    const int64_t row = turns.cluster.row(work) + place.warp * Tile::kOutRows;  // the warp's
    float sums[kSumsOfTile] = {}, of_s[Making::kSums] = {};
    ptx::pin(sums);
    int last = -1;  // the stage that is being read
    if (work.makes_s) {
      ptx::pin(of_s);
      if constexpr (kMasked)
        last = multiply_masked_inner<T, kTiles>(sums, of_s, product, ring, barriers, at,
                                                WarpMasks<T>(arguments, dropout, row, work.column == 0, place), place);
      else
        last = multiply_inner<T, kTiles, true>(sums, of_s, product, ring, barriers, at, place);
      ptx::wgmma_wait<0>();
      ptx::pin(sums);
      ptx::pin(of_s);
      release<kClusterBlocks>(barriers, last, place.lane);
      last = -1;
      finish_s<T, kTiles>(s, of_s, arguments, row, work.column == 0, place);
    } else {
      last = multiply_inner<T, kTiles, false>(sums, of_s, product, ring, barriers, at, place);
    }

    LinearStep step = {-1, 0};
    for (advance(step, product, product.left.columns, column, Tile::kColumns); step.slab < product.slab_count;
         advance(step, product, Tile::kInner, column, Tile::kColumns)) {
      const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
      ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
#pragma unroll
      for (int t = 0; t < kTiles; t++) {
        if (kTiles > 1 && arguments.made[t].slab != step.slab) continue;
        ptx::wgmma_fence();
        ptx::wgmma_m64n256k16<false>(sums, s[t], right_operand<Inner::kAlongRow>(stage, 0, arguments.made[t].first), T{});
        ptx::wgmma_commit();
      }
      ptx::wgmma_wait<1>();
      if (last >= 0) release<kClusterBlocks>(barriers, last, place.lane);
      last = at.stage;
      at.advance();
    }
    ptx::wgmma_wait<0>();
    ptx::pin(sums);
    if (last >= 0) release<kClusterBlocks>(barriers, last, place.lane);
    store_sums(sums, out, product, row, column, place);
  }
}

// CUDA kernels. For other targets than sm_90a they are traps.

template <class T, int kTiles, bool kMasked>
__global__ void __launch_bounds__(WarpgroupTile::kThreads, 1)
    linear_forward_with_s(const __grid_constant__ WarpgroupArguments<T> arguments) {
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  GPU_DYNAMIC_SHARED(memory);
  GPU_SHARED(RingBarriers, barriers);
  share_out_warpgroups<kClusterBlocks>(
      memory, barriers, [&](unsigned char* ring) { copy_steps_with_s<T, kTiles>(arguments, ring, barriers); },
      [&](unsigned char* ring) { multiply_steps_with_s<T, kTiles, kMasked>(arguments, ring, barriers); });
#else
  static_cast<void>(arguments);
  __trap();
#endif
}
}  // namespace prunepeft::cuda
