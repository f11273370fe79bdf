// The fused linear for compute capability 9.0 and 16-bit types: the products of linear.cuh by whole warpgroups (wgmma), whose
// operands the bulk copy engine brings by tensor maps.
//
// Tiling: as many blocks as multiprocessors, each taking a tile of 128 by 256 after another. Two warpgroups multiply, each 64
// rows by 256 columns in 128 registers a thread; one thread of a third has the copies made, into a ring of four stages of 64 of
// the inner dimension (16 KB of the left operand, 32 KB of the right). It runs ahead, through the next tile's first stages too
// while this one is written. Each stage has two barriers: `full` ends a phase when the stage's bytes are there, `empty` when
// the eight multiplying warps have read them.
//
// The ranks of the modules are further steps, and come last: S (or dS) and B (or A) by tensor maps of their own. What of a box
// lies outside its matrix arrives as zeros, so edges of M, N, K and of ranks, and modules on some of the columns, need no
// code. Of a rank step only the products that reach ranks are made, 16 at a time.
//
// Forward: S has been made by the down product, an earlier launch. dX under dropout: the mask applies to the ranks' product by
// element, so that has 32 registers of its own for 64 columns at a time, is masked, and is then added. The masks of the first
// module are drawn, or read where they were kept, in the first steps, in which the warps only wait for the tensor cores.
//
// Clusters: kBlocks are 1, or 2 with tiles of the same columns in row tiles that lie side by side. Of each step's right
// operand, which is theirs in common, each brings half, to both: a block then reads 32 KB a step in place of 48. So a stage of
// either is filled by both, and is free when the warps of both have read it: these arrive at both blocks' `empty`. A block's
// copy may end in the other before that one expects it; it cannot come a phase early, since the other's warps have released the
// stage. Where the number of row tiles is odd, a block's last tile has no rows: it takes part in all of it, and writes nothing.
//
// Right operands: W forward lies with the inner dimension along its rows, in dX with the columns along them. In shared memory
// both are rows of 128 bytes (64 elements), swizzled: forward 256 of them, one for each column; in dX four boxes of 64 columns,
// each with 64 rows, one for each of the inner dimension.
//
// Limit: 2MNK FLOP at the tensor cores' rate. A step feeds 4.2 MFLOP by 48 KB, or 32.
#pragma once

#include "cuda/tensor_map.h"
#include "linear/cuda/choice.h"
#include "linear/cuda/linear.cuh"

namespace prunepeft::cuda {
struct WarpgroupTile {
  static constexpr int kRows = 128, kColumns = 256, kInner = kBoxColumns, kStages = 4;
  static constexpr int kWarpgroup = 128, kGroupRows = 64;
  static constexpr int kConsumers = kRows / kGroupRows * kWarpgroup;
  static constexpr int kThreads = kConsumers + kWarpgroup;
  static constexpr int kProductInner = 16;
  /** Of 16 bits: what shared memory moves at once. */
  static constexpr int kVector = 8;
  static constexpr int kSlabColumns = kBoxColumns, kSlabs = kColumns / kSlabColumns;
  static constexpr int kElementBytes = 2, kRowBytes = kInner * kElementBytes;
  static constexpr int kLeftBytes = kRows * kRowBytes, kRightBytes = kColumns * kRowBytes;
  static constexpr int kStageBytes = kLeftBytes + kRightBytes;
  static constexpr int kSlabBytes = kInner * kRowBytes;
  /** Eight rows of 128 bytes: what the swizzle repeats in, and where a stage may begin. */
  static constexpr int kAtomRows = 8, kAtomBytes = kAtomRows * kRowBytes;
  /**
   * Registers of a thread at the start: a multiprocessor's, shared out in eights. Of these 168 those that copy give most to
   * those that multiply, which would wait for ever for more than that.
   */
  static constexpr int kLaunchRegisters = 65536 / kThreads / 8 * 8;
  static constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
  /** A warp's 16 rows by 64 columns of the result, on their way out. */
  static constexpr int kOutRows = 16;
  static constexpr int kOutBytes = kOutRows * kRowBytes;
  static constexpr size_t kBytes = kAtomBytes + kStages * kStageBytes + kConsumers / gpu::kWarp * kOutBytes;
  static constexpr size_t kMostBytes = 227 * 1024 - 1024;  // of a block, less what is not dynamic

  static_assert(kBytes <= kMostBytes, "a block fits");
  static_assert(kLeftBytes % kAtomBytes == 0 && kSlabBytes % kAtomBytes == 0, "operands begin where the swizzle does");
  static_assert(kSlabs % kClusterBlocks == 0, "each block of a cluster brings whole slabs");
  static_assert(kColumns <= kMostBoxRows, "a box brings a step of W");
  static_assert(kProducerRegisters * kWarpgroup + kConsumerRegisters * kConsumers <= kLaunchRegisters * kThreads,
                "the registers are there");
};

/** Of S, a module's ranks [first, first + count), where the product makes it. */
struct MadeRanks {
  int32_t slab;
  int32_t first;
  int32_t count;
  float scale;
  void* s;
  int64_t lds;
};

/** The mask of x where the product makes S of masked x, and where it is kept, or null. */
struct MaskOfMade {
  PhiloxKeys keys;
  uint16_t* kept;
  uint32_t name;
};

/** Where the product leaves dB's parts: [row tiles, columns, rank], of the module's columns of dY. */
struct DbParts {
  float* of;
  int64_t first_column;
  int64_t columns;
  int32_t rank;
};

template <class T>
struct WarpgroupArguments {
  TensorMap left, right;
  /** Of S and B, or dS and A; where the product makes S, of A in place of S; where it makes dS, of B and then S in its place.
   */
  TensorMap slab_left[kMostBulkModules], slab_right[kMostBulkModules];
  LinearArguments<T> product;
  MadeRanks made[kMostRankTilesInside];
  MaskOfMade mask;
  DbParts db;
};

/** A stage's place in a ring, and the parity of its present phase. */
template <int kStages>
struct RingPlace {
  int stage = 0;
  unsigned parity = 0;
  GPU_INLINE void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

/** Barriers of a block; in a cluster both have them at the same place. */
struct RingBarriers {
  uint64_t full[WarpgroupTile::kStages], empty[WarpgroupTile::kStages];
};

/** The tile of a block that takes a work; in a cluster works count the row tiles of all its blocks as one. */
template <int kBlocks>
struct ClusterPlace {
  static constexpr unsigned kAllBlocks = (1u << kBlocks) - 1;
  int rank = kBlocks == 1 ? 0 : static_cast<int>(ptx::cluster_rank());
  int64_t first_ticket = blockIdx.x / kBlocks;
  int64_t tickets = gridDim.x / kBlocks;

  GPU_INLINE int64_t row(const LinearWork& work) const { return (work.row * kBlocks + rank) * WarpgroupTile::kRows; }
};

/** This block's share of an operand that all blocks of the cluster get, at (row, column) of the matrix. */
template <int kBlocks>
GPU_INLINE void copy_shared(unsigned char* target, const TensorMap* map, int column, int row, uint64_t* full) {
  if (kBlocks == 1)
    ptx::bulk_load(target, map, column, row, full);
  else
    ptx::bulk_load_multicast(target, map, column, row, full, ClusterPlace<kBlocks>::kAllBlocks);
}

/** This block's share of a stage's right operand, from (inner, first) on. */
template <Inner kRight, int kBlocks>
GPU_INLINE void copy_right(unsigned char* stage, const TensorMap* map, int inner, int first, int rank, uint64_t* full) {
  using Tile = WarpgroupTile;
  constexpr int kShareColumns = Tile::kColumns / kBlocks, kShareSlabs = Tile::kSlabs / kBlocks;
  unsigned char* const right = stage + Tile::kLeftBytes;
  if (kRight == Inner::kAlongRow) {
    const int share = rank * kShareColumns;
    copy_shared<kBlocks>(right + share * Tile::kRowBytes, map, inner, first + share, full);
  } else {
#pragma unroll
    for (int i = 0; i < kShareSlabs; i++) {
      const int slab = rank * kShareSlabs + i;
      copy_shared<kBlocks>(right + slab * Tile::kSlabBytes, map, first + slab * Tile::kSlabColumns, inner, full);
    }
  }
}

/** Has every step of every tile of this block copied, in order. One thread. */
template <class T, Inner kRight, int kBlocks>
GPU_INLINE void copy_steps(const WarpgroupArguments<T>& arguments, unsigned char* ring, RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  const LinearArguments<T>& product = arguments.product;
  const ClusterPlace<kBlocks> cluster;
  const int64_t works = linear_works(product.order);
  RingPlace<Tile::kStages> place;
  for (int64_t ticket = cluster.first_ticket; ticket < works; ticket += cluster.tickets) {
    const LinearWork work = linear_work(product.order, ticket);
    const int64_t row = cluster.row(work), column = work.column * Tile::kColumns;
    for (LinearStep step = {-1, 0}; step.slab < product.slab_count;
         advance(step, product, Tile::kInner, column, Tile::kColumns)) {
      const bool ranks = step.slab >= 0;
      const TensorMap* const left = ranks ? &arguments.slab_left[step.slab] : &arguments.left;
      const TensorMap* const right = ranks ? &arguments.slab_right[step.slab] : &arguments.right;
      const int inner = static_cast<int>(step.inner);
      const int first = static_cast<int>(column - (ranks ? product.slabs[step.slab].first_column : 0));  // may be negative
      unsigned char* const stage = ring + place.stage * Tile::kStageBytes;
      uint64_t* const full = &barriers.full[place.stage];
      ptx::mbarrier_wait(&barriers.empty[place.stage], place.parity ^ 1);
      ptx::mbarrier_arrive_expect(full, Tile::kStageBytes);
      ptx::bulk_load(stage, left, inner, static_cast<int>(row), full);
      copy_right<kRight, kBlocks>(stage, right, inner, first, cluster.rank, full);
      place.advance();
    }
  }
}

/** A multiplying thread's place: its warpgroup's rows of the tile, its warp's, its lane's. */
struct ConsumerPlace {
  int group = static_cast<int>(threadIdx.x) / WarpgroupTile::kWarpgroup;
  int warp = static_cast<int>(threadIdx.x) / gpu::kWarp;
  int lane = static_cast<int>(threadIdx.x) % gpu::kWarp;
  // Element 4j + 2h + e of an accumulator: row lane / 4 + 8h of the warp's 16, column 8j + 2 (lane % 4) + e.
  int row = lane / 4;
  int column = 2 * (lane % 4);
};

/** Where the warpgroup's 64 rows of the left operand begin, at `k` of the step. */
GPU_INLINE uint64_t left_operand(const unsigned char* stage, int group, int k) {
  using Tile = WarpgroupTile;
  constexpr unsigned kMeaningless = 16;
  return ptx::swizzled_operand(stage + group * Tile::kGroupRows * Tile::kRowBytes + k * Tile::kElementBytes, kMeaningless,
                               Tile::kAtomBytes);
}

/** Where the right operand begins, at `k` of the step; with columns inner, from slab `slab` on. */
template <Inner kRight>
GPU_INLINE uint64_t right_operand(const unsigned char* stage, int slab, int k) {
  using Tile = WarpgroupTile;
  constexpr unsigned kMeaningless = 16;
  const unsigned char* const right = stage + Tile::kLeftBytes;
  if (kRight == Inner::kAlongRow) return ptx::swizzled_operand(right + k * Tile::kElementBytes, kMeaningless, Tile::kAtomBytes);
  return ptx::swizzled_operand(right + slab * Tile::kSlabBytes + k * Tile::kRowBytes, Tile::kSlabBytes, Tile::kAtomBytes);
}

/**
 * Calls `multiply` for each 16 of the inner dimension, of which `inner` are left. Whole steps, nearly all, are one group
 * without a jump within; in others each product is a group of its own, so that the assembler need not add fences.
 */
template <class Multiply>
GPU_INLINE void multiply_step(int64_t inner, Multiply multiply) {
  using Tile = WarpgroupTile;
  if (inner > Tile::kInner - Tile::kProductInner) {
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < Tile::kInner; k += Tile::kProductInner) multiply(k);
    ptx::wgmma_commit();
  } else {
#pragma unroll 1
    for (int k = 0; k < inner; k += Tile::kProductInner) {
      ptx::wgmma_fence();
      multiply(k);
      ptx::wgmma_commit();
    }
  }
}

/** This warp has read the stage, into which every block of the cluster has copies made. */
template <int kBlocks>
GPU_INLINE void release(RingBarriers& barriers, int stage, int lane) {
  if (kBlocks == 1) {
    if (lane == 0) ptx::mbarrier_arrive(&barriers.empty[stage]);
  } else if (lane < kBlocks) {
    ptx::mbarrier_arrive_at(&barriers.empty[stage], static_cast<unsigned>(lane));
  }
}

/**
 * The masks of a module on the warp's 16 rows and 64 columns from (row, column) on, shared out in each four lanes: lane t of
 * them has columns 8t and 8 (t + 4) of rows lane / 4 and 8 more, byte 2h + i for row 8h and columns 8 (t + 4i).
 */
GPU_INLINE unsigned draw_lane_masks(const DropoutMask& dropout, uint32_t mask_name, int64_t row, int64_t column,
                                    int64_t columns, const ConsumerPlace& place) {
  const PhiloxKeys keys = philox_keys(dropout_key(dropout.seed));
  const MaskGenerator generator(dropout, keys, mask_name);
  unsigned word = 0;
#pragma unroll
  for (int h = 1; h >= 0; h--)
#pragma unroll
    for (int i = 1; i >= 0; i--)
      generator.append(word, mask_group(row + place.row + 8 * h, column + (place.lane % 4 + 4 * i) * kMaskColumns, columns));
  return word;
}

/** The same of a mask that the forward pass has kept. */
GPU_INLINE unsigned kept_lane_masks(const uint16_t* kept, int64_t row, int64_t column, int64_t rows, int64_t columns,
                                    const ConsumerPlace& place) {
  static_assert(WarpgroupTile::kOutRows == kKeptRows && kept_place(8) == kept_place(0) + 2, "a warp's rows are a group");
  const int64_t strip_bytes = kept_rows(rows) * static_cast<int64_t>(sizeof(uint16_t));
  const int64_t own = column + place.lane % 4 * kMaskColumns;
  const auto* from = reinterpret_cast<const unsigned char*>(kept + row + kept_place(place.row)) +
                     own / kKeptColumns * strip_bytes + place.lane % 2;
  unsigned word = 0;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (row < rows && own + 4 * i * kMaskColumns < columns)
      word |= (from[0] | static_cast<unsigned>(from[2 * sizeof(uint16_t)]) << 16) << 8 * i;
    from += 4 * kMaskColumns / kKeptColumns * strip_bytes;
  }
  return word;
}

constexpr int kSumsOfTile = WarpgroupTile::kColumns / 2, kSumsOfSlab = WarpgroupTile::kSlabColumns / 2;

/** sums of 64 columns += the masked product; `word` is the lane's part of the masks. */
template <int kFirst>
GPU_INLINE void add_masked(float (&sums)[kSumsOfTile], const float (&product)[kSumsOfSlab], unsigned word, float keep_scale,
                           const ConsumerPlace& place) {
#pragma unroll
  for (int t = 0; t < 4; t++) {
    const unsigned kept = __shfl_sync(gpu::kFullMask, word, place.lane / 4 * 4 + t) >> mask_bit(place.column + 1);
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int h = 0; h < 2; h++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int at = 4 * (t + 4 * i) + 2 * h + e;
          float& sum = sums[kFirst + at];
          const bool is_kept = (kept >> (8 * (2 * h + i) + 4 * (1 - e)) & 1) != 0;
          sum = is_kept ? __fadd_rn(sum, __fmul_rn(product[at], keep_scale)) : sum;
        }
  }
}

/** The product of a rank step with 64 columns, masked and added. */
template <class T, int kSlab>
GPU_INLINE void add_masked_slab(float (&sums)[kSumsOfTile], const unsigned char* stage, int inner, unsigned word,
                                float keep_scale, const ConsumerPlace& place) {
  float product[kSumsOfSlab] = {};
  ptx::pin(product);
  multiply_step(inner, [&](int k) {
    ptx::wgmma_m64n64k16<true>(product, left_operand(stage, place.group, k),
                               right_operand<Inner::kAlongColumn>(stage, kSlab, k), T{});
  });
  ptx::wgmma_wait<0>();
  ptx::pin(product);
  add_masked<kSlab * kSumsOfSlab>(sums, product, word, keep_scale, place);
}

/** Where an element of the result lies on its way out: groups of 16 bytes change places by the row's number, so that neither
 * pairs of a column nor vectors of a row meet in a bank. */
GPU_INLINE int out_place(int row, int column) {
  constexpr int kVector = WarpgroupTile::kVector, kVectors = WarpgroupTile::kSlabColumns / kVector;
  return row * WarpgroupTile::kSlabColumns + (column / kVector ^ row % kVectors) * kVector + column % kVector;
}

/** As store_sums, of a warp's rows that lie in the matrix whole, with all of their columns, in rows that allow 16-byte stores:
 * nothing is asked for an element, and addresses are made once. */
template <class T>
GPU_INLINE void store_whole_sums(float (&sums)[kSumsOfTile], T* out, const LinearArguments<T>& arguments, int64_t row,
                                 int64_t column, const ConsumerPlace& place) {
  using Tile = WarpgroupTile;
  constexpr int kVector = Tile::kVector, kVectors = Tile::kSlabColumns / kVector,
                kTurns = Tile::kOutRows * kVectors / gpu::kWarp;
  constexpr int kRowsATurn = gpu::kWarp / kVectors;
  if (arguments.bias != nullptr) {
    const T* const bias = arguments.bias + column + place.column;
#pragma unroll
    for (int j = 0; j < Tile::kColumns / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const float added = gpu::to_float(bias[8 * j + e]);
#pragma unroll
        for (int h = 0; h < 2; h++) sums[4 * j + 2 * h + e] += added;
      }
  }
  T* to = arguments.out + (row + place.lane / kVectors) * arguments.ldout + column + place.lane % kVectors * kVector;
#pragma unroll
  for (int slab = 0; slab < Tile::kSlabs; slab++) {
#pragma unroll
    for (int j = 0; j < kVectors; j++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int at = slab * kSumsOfSlab + 4 * j + 2 * h;
        // A row eight further down has its vectors in the same order.
        *reinterpret_cast<ElementPair<T>*>(out + out_place(place.row, 8 * j + place.column) + 8 * h * Tile::kSlabColumns) = {
            gpu::from_float<T>(sums[at]), gpu::from_float<T>(sums[at + 1])};
      }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kTurns; i++)
      *reinterpret_cast<uint4*>(to + i * kRowsATurn * arguments.ldout + slab * Tile::kSlabColumns) =
          *reinterpret_cast<const uint4*>(out +
                                          out_place(place.lane / kVectors + i * kRowsATurn, place.lane % kVectors * kVector));
    __syncwarp();  // the next columns take their place
  }
}

/** Rounds the sums, bias added, and writes them out by way of the warp's own part of shared memory. */
template <class T>
GPU_INLINE void store_sums(float (&sums)[kSumsOfTile], T* out, const LinearArguments<T>& arguments, int64_t row, int64_t column,
                           const ConsumerPlace& place) {
  using Tile = WarpgroupTile;
  if (arguments.out_aligned && row + Tile::kOutRows <= arguments.left.rows && column + Tile::kColumns <= arguments.columns)
    return store_whole_sums(sums, out, arguments, row, column, place);
  constexpr int kVector = Tile::kVector, kVectors = Tile::kSlabColumns / kVector;
#pragma unroll
  for (int slab = 0; slab < Tile::kSlabs; slab++) {
    const int64_t first = column + slab * Tile::kSlabColumns;
    if (first >= arguments.columns) break;
#pragma unroll
    for (int j = 0; j < Tile::kSlabColumns / 8; j++) {
      const int c = 8 * j + place.column;
      float bias[2] = {};
#pragma unroll
      for (int e = 0; e < 2; e++)
        if (arguments.bias != nullptr && first + c + e < arguments.columns)
          bias[e] = gpu::to_float(arguments.bias[first + c + e]);
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int at = slab * kSumsOfSlab + 4 * j + 2 * h;
        *reinterpret_cast<ElementPair<T>*>(out + out_place(place.row + 8 * h, c)) = {
            gpu::from_float<T>(sums[at] + bias[0]), gpu::from_float<T>(sums[at + 1] + bias[1])};
      }
    }
    __syncwarp();
#pragma unroll
    for (int i = place.lane; i < Tile::kOutRows * kVectors; i += gpu::kWarp) {
      const int r = i / kVectors, c = i % kVectors * kVector;
      if (row + r >= arguments.left.rows) continue;
      T* to = arguments.out + (row + r) * arguments.ldout + first + c;
      const T* from = out + out_place(r, c);
      if (arguments.out_aligned && first + c + kVector <= arguments.columns) {
        *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
      } else {
        for (int k = 0; k < kVector && first + c + k < arguments.columns; k++) to[k] = from[k];
      }
    }
    __syncwarp();  // the next columns take their place
  }
}

/** Multiplies every step of every tile of this block, in the order of copy_steps, and writes the tiles. Two warpgroups. */
template <class T, Inner kRight, bool kMasked, int kBlocks>
GPU_INLINE void multiply_steps(const LinearArguments<T>& arguments, const unsigned char* ring, unsigned char* out,
                               RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  const ConsumerPlace place;
  const ClusterPlace<kBlocks> cluster;
  const int64_t works = linear_works(arguments.order);
  const DropoutMask dropout = read_mask(arguments.dropout);
  RingPlace<Tile::kStages> at;
  for (int64_t ticket = cluster.first_ticket; ticket < works; ticket += cluster.tickets) {
    const LinearWork work = linear_work(arguments.order, ticket);
    const int64_t column = work.column * Tile::kColumns;
    const int64_t row = cluster.row(work) + place.warp * Tile::kOutRows;  // the warp's
    unsigned masks[Tile::kSlabs] = {};  // of the module `masked`; of the first, made when the tensor cores have work
    int masked = 0, made = 0;
    const auto make_next_mask = [&] {
      const RankSlab& from = arguments.slabs[masked];
      const int64_t first = column + made * Tile::kSlabColumns;
      const unsigned word = from.kept != nullptr
                                ? kept_lane_masks(from.kept, row, first, arguments.left.rows, arguments.columns, place)
                                : draw_lane_masks(dropout, from.mask_name, row, first, arguments.columns, place);
#pragma unroll
      for (int i = 0; i < Tile::kSlabs; i++) masks[i] = i == made ? word : masks[i];
      made++;
    };

    float sums[kSumsOfTile] = {};
    ptx::pin(sums);
    LinearStep step = {-1, 0};
    int last = -1;  // the stage that is being read
    while (step.slab < (kMasked ? 0 : arguments.slab_count)) {
      const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
      const int64_t inner = inner_left(arguments, step);
      ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
      multiply_step(inner, [&](int k) {
        ptx::wgmma_m64n256k16<kRight == Inner::kAlongColumn>(sums, left_operand(stage, place.group, k),
                                                             right_operand<kRight>(stage, 0, k), T{});
      });
      if (kMasked && made < Tile::kSlabs) make_next_mask();
      ptx::wgmma_wait<1>();
      if (last >= 0) release<kBlocks>(barriers, last, place.lane);
      last = at.stage;
      at.advance();
      advance(step, arguments, Tile::kInner, column, Tile::kColumns);
    }
    ptx::wgmma_wait<0>();
    ptx::pin(sums);
    release<kBlocks>(barriers, last, place.lane);

    if (kMasked) {
      while (step.slab < arguments.slab_count) {
        const unsigned char* const stage = ring + at.stage * Tile::kStageBytes;
        const int inner = static_cast<int>(gpu::least(inner_left(arguments, step), Tile::kInner));
        const float keep_scale = dropout.keep_scale;
        if (step.slab != masked) {
          masked = step.slab;
          made = 0;
        }
#pragma unroll 1
        while (made < Tile::kSlabs) make_next_mask();
        ptx::mbarrier_wait(&barriers.full[at.stage], at.parity);
        add_masked_slab<T, 0>(sums, stage, inner, masks[0], keep_scale, place);
        add_masked_slab<T, 1>(sums, stage, inner, masks[1], keep_scale, place);
        add_masked_slab<T, 2>(sums, stage, inner, masks[2], keep_scale, place);
        add_masked_slab<T, 3>(sums, stage, inner, masks[3], keep_scale, place);
        release<kBlocks>(barriers, at.stage, place.lane);
        at.advance();
        advance(step, arguments, Tile::kInner, column, Tile::kColumns);
      }
    }
    store_sums(sums, reinterpret_cast<T*>(out + place.warp * Tile::kOutBytes), arguments, row, column, place);
  }
}

/** Shares out a block's barriers, ring and warpgroups: `copy(ring)` by one thread, and `multiply(ring)` by two warpgroups. */
template <int kBlocks, class Copy, class Multiply>
GPU_INLINE void share_out_warpgroups(unsigned char* memory, RingBarriers& barriers, Copy copy, Multiply multiply) {
  using Tile = WarpgroupTile;
  unsigned char* const ring = memory + (0 - ptx::shared_address(memory)) % Tile::kAtomBytes;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Tile::kStages; stage++) {
      ptx::mbarrier_init(&barriers.full[stage], 1);
      ptx::mbarrier_init(&barriers.empty[stage], kBlocks * Tile::kConsumers / gpu::kWarp);
    }
    ptx::fence_proxy_async();
    if (kBlocks > 1) ptx::fence_mbarrier_init();
  }
  if (kBlocks == 1)
    __syncthreads();
  else
    ptx::cluster_barrier();
  if (threadIdx.x >= Tile::kConsumers) {
    ptx::lower_registers<Tile::kProducerRegisters>();
    if (threadIdx.x == Tile::kConsumers) copy(ring);
    if (kBlocks > 1) __syncwarp();
  } else {
    ptx::raise_registers<Tile::kConsumerRegisters>();
    multiply(ring);
  }
  if (kBlocks > 1) ptx::cluster_barrier();  // until then warps of the others may arrive here
}

template <class T, Inner kRight, bool kMasked, int kBlocks>
GPU_INLINE void linear_by_warpgroups(const WarpgroupArguments<T>& arguments, unsigned char* memory, RingBarriers& barriers) {
  using Tile = WarpgroupTile;
  share_out_warpgroups<kBlocks>(
      memory, barriers, [&](unsigned char* ring) { copy_steps<T, kRight, kBlocks>(arguments, ring, barriers); },
      [&](unsigned char* ring) {
        multiply_steps<T, kRight, kMasked, kBlocks>(arguments.product, ring, ring + Tile::kStages * Tile::kStageBytes,
                                                    barriers);
      });
}

// CUDA kernels. For other targets than sm_90a they are traps: the choice of a path never comes to them there.

template <class T, int kBlocks>
__global__ void __launch_bounds__(WarpgroupTile::kThreads, 1)
    linear_forward_warpgroup(const __grid_constant__ WarpgroupArguments<T> arguments) {
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  GPU_DYNAMIC_SHARED(memory);
  GPU_SHARED(RingBarriers, barriers);
  linear_by_warpgroups<T, Inner::kAlongRow, false, kBlocks>(arguments, memory, barriers);
#else
  static_cast<void>(arguments);
  __trap();
#endif
}

template <class T, bool kMasked, int kBlocks>
__global__ void __launch_bounds__(WarpgroupTile::kThreads, 1)
    linear_grad_input_warpgroup(const __grid_constant__ WarpgroupArguments<T> arguments) {
#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  GPU_DYNAMIC_SHARED(memory);
  GPU_SHARED(RingBarriers, barriers);
  linear_by_warpgroups<T, Inner::kAlongColumn, kMasked, kBlocks>(arguments, memory, barriers);
#else
  static_cast<void>(arguments);
  __trap();
#endif
}
}  // namespace prunepeft::cuda
