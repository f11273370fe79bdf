// The fused linear for sm_80 and newer: y = x Wᵀ + b + Σ S Bᵀ with S = s·D(x) Aᵀ, and dX = dY W + Σ Dᵀ(dS A), each one kernel.
//
// Tiling: a block of 4 warps (8 in a large masked tile) makes a tile of the result, kRows by kColumns, in registers. The inner
// dimension is walked in steps that cp.async brings into a ring ahead of use; the ranks of the modules are further steps of
// the same ring, and come last, so that the product with W never waits for S. 16-bit types multiply by mma.sync, float32 by
// fused multiply-adds; sums are float32. The tile goes out through shared memory, so that whole 16-byte groups are written.
//
// Forward: the blocks also make S, in the order of order.h; a tile of y waits for its rows of S when it comes to their step.
// Under dropout the masked operand exists in that product alone, so y needs no mask.
//
// dX: the mask applies to the rank's product by element, not to dY W, so the two cannot share an accumulator from the start. An
// epilogue of its own was chosen over a second set of accumulators, which would double the registers of the whole kernel for a
// product of rank r: each 16 by 16 piece of dS A gets eight registers of its own, is masked (the block draws the tile's mask
// into shared memory, a bit an element), and is then added. Modules have a mask each, and pass one after the other.
//
// Limit: 2MNK FLOP at the tensor cores' rate; the ranks add r(1/K + 1/N) of it, the mask one draw for eight elements and
// module.
#pragma once

#include "linear/cuda/order.h"
#include "linear/cuda/down.cuh"
#include "linear/cuda/dropout.cuh"
#include "linear/cuda/finish.cuh"
#include "linear/cuda/product.cuh"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
/** A block's tile: kRowTiles by kColumnTiles accumulators of 16 by 16 for each of its warps, two of them down. */
template <int kRowTiles_, int kColumnTiles_, int kWarpsAcross_ = 2>
struct LinearTile {
  static constexpr int kWarpsAcross = kWarpsAcross_;
  static constexpr int kThreads = 2 * kWarpsAcross * gpu::kWarp;
  static constexpr int kRowTiles = kRowTiles_;
  static constexpr int kColumnTiles = kColumnTiles_;
  static constexpr int kWarpRows = kRowTiles * kProductRows;
  static constexpr int kWarpColumns = kColumnTiles * kTileRanks;
  static constexpr int kRows = 2 * kWarpRows;
  static constexpr int kColumns = kWarpsAcross * kWarpColumns;
  /** Given to the compiler, which else spills to reach more. */
  static constexpr int kBlocksPerProcessor = kWarpsAcross == 2 ? 2 : 1;
};
/** float32 has half the columns: its operands take twice the registers. */
template <class T>
using LargeTile = LinearTile<4, sizeof(T) == 2 ? 4 : 2>;
template <class T>
using SmallTile = LinearTile<2, 2>;
/** Of the large tile's size, for masked products: these need registers of their own, which eight warps have. */
template <class T>
using LargeMaskedTile = LinearTile<4, 2, sizeof(T) == 2 ? 4 : 2>;
static_assert(Down::kThreads == LargeTile<float>::kThreads, "a block may make a part of S or a tile of y");
static_assert(SmallTile<float>::kRows % Down::kRows == 0, "row tiles are whole row blocks of S");

/** Columns of a word of a tile's mask. */
constexpr int kTileMaskColumns = 2 * kMaskColumns;

/** The ring of steps of one kernel. */
template <class T, class Tile, Inner kRight>
struct LinearRing {
  static constexpr int kInner = sizeof(T) == 2 ? 32 : 16;
  static constexpr int kStages = 4;
  static constexpr int kLeftLd = padded<T>(kInner);
  static constexpr int kRightLd = kRight == Inner::kAlongRow ? padded<T>(kInner) : padded<T>(Tile::kColumns);
  static constexpr int kLeft = Tile::kRows * kLeftLd;
  static constexpr int kRightRows = kRight == Inner::kAlongRow ? Tile::kColumns : kInner;
  static constexpr int kStage = kLeft + kRightRows * kRightLd;
  static constexpr int kOutLd = padded<T>(Tile::kColumns);
  static constexpr size_t kBytes = static_cast<size_t>(kStages) * kStage * sizeof(T);
  /** A mask of the tile, behind the ring. */
  static constexpr size_t kMaskBytes = Tile::kRows * Tile::kColumns / kTileMaskColumns * sizeof(uint16_t);
  static_assert(kBytes + kMaskBytes <= gpu::kMostSharedBytes, "a block fits every device");
  static_assert(Tile::kRows * kOutLd <= kStages * kStage, "the result takes the place of the ring");
};

/** The ranks of a module as an operand: left [M,rank] is S or dS, right is B [columns,rank] or A [rank,columns]. */
struct RankSlab {
  const void* left;
  int64_t ld_left;
  const void* right;
  int64_t ld_right;
  int64_t rank;
  int64_t first_column;
  int64_t columns;
  const uint16_t* kept;  // its mask, as the forward pass keeps it; null: it is drawn
  uint32_t mask_name;
  bool left_aligned;
  bool right_aligned;
};

template <class T>
struct LinearArguments {
  int64_t columns;  // N forward, K backward
  Source<T> left;   // x [M,K] or dY [M,N]
  Source<T> right;  // W [N,K]
  const T* bias;    // [columns], or null
  T* out;
  int64_t ldout;
  bool out_aligned;
  int32_t slab_count;
  RankSlab slabs[kMaxModules];
  DropoutSpec dropout;
  LinearOrder order;
};

template <class T>
struct LinearForwardArguments {
  LinearArguments<T> product;
  DownArguments<T> down;
  int32_t shares;      // of K, each with a slot for S
  unsigned* counters;  // the next ticket, then for each row block of S its parts that are done; null without modules
};

/** A step of the walk along the inner dimension: of the product with W (slab -1) or of a module's ranks. */
struct LinearStep {
  int slab;
  int64_t inner;
};

template <class T>
GPU_INLINE int64_t inner_left(const LinearArguments<T>& arguments, const LinearStep& step) {
  return (step.slab < 0 ? arguments.left.columns : arguments.slabs[step.slab].rank) - step.inner;
}

/** The next step; slab_count when there is none. Modules that don't reach into the columns are passed over. */
template <class T>
GPU_INLINE void advance(LinearStep& step, const LinearArguments<T>& arguments, int64_t length, int64_t column, int width) {
  step.inner += length;
  if (inner_left(arguments, step) > 0) return;
  step.inner = 0;
  for (step.slab++; step.slab < arguments.slab_count; step.slab++) {
    const RankSlab& slab = arguments.slabs[step.slab];
    if (slab.first_column < column + width && column < slab.first_column + slab.columns) return;
  }
}

/** Fills the right tile where the inner dimension is along rows: the rows before `row` 0 of the source are zero. */
template <class T, class Tile, int kInner>
GPU_INLINE void load_right_rows(T* tile, const Source<T>& source, int64_t row, int64_t inner) {
  constexpr int kLd = padded<T>(kInner), kVector = gpu::kPerVector<T>, kVectors = kInner / kVector;
  if (row >= 0) return load_tile(tile, kLd, Tile::kColumns, kInner, source, row, inner, Tile::kThreads);
  const int before = static_cast<int>(gpu::least(-row, Tile::kColumns));
  for (int i = static_cast<int>(threadIdx.x); i < before * kVectors; i += Tile::kThreads)
    *reinterpret_cast<uint4*>(tile + i / kVectors * kLd + i % kVectors * kVector) = uint4{0, 0, 0, 0};
  load_tile(tile + before * kLd, kLd, Tile::kColumns - before, kInner, source, 0, inner, Tile::kThreads);
}

template <class T, class Tile, Inner kRight>
GPU_INLINE void load_step(T* stage, const LinearArguments<T>& arguments, const LinearStep& step, int64_t row, int64_t column) {
  using Ring = LinearRing<T, Tile, kRight>;
  Source<T> left = arguments.left, right = arguments.right;
  int64_t first_column = 0;
  if (step.slab >= 0) {
    const RankSlab& slab = arguments.slabs[step.slab];
    left = {static_cast<const T*>(slab.left), slab.ld_left, left.rows, slab.rank, slab.left_aligned};
    right = {static_cast<const T*>(slab.right), slab.ld_right, slab.columns, slab.rank, slab.right_aligned};
    if (kRight == Inner::kAlongColumn) {
      right.rows = slab.rank;
      right.columns = slab.columns;
    }
    first_column = slab.first_column;
  }
  load_tile(stage, Ring::kLeftLd, Tile::kRows, Ring::kInner, left, row, step.inner, Tile::kThreads);
  if (kRight == Inner::kAlongRow)
    load_right_rows<T, Tile, Ring::kInner>(stage + Ring::kLeft, right, column - first_column, step.inner);
  else
    load_tile(stage + Ring::kLeft, Ring::kRightLd, Ring::kInner, Tile::kColumns, right, step.inner, column, Tile::kThreads);
}

template <class Tile>
struct WarpPlace {
  int row = static_cast<int>(threadIdx.x) / gpu::kWarp / Tile::kWarpsAcross * Tile::kWarpRows;
  int column = static_cast<int>(threadIdx.x) / gpu::kWarp % Tile::kWarpsAcross * Tile::kWarpColumns;
};

template <class Tile>
using LinearSums = Accumulator[Tile::kRowTiles][Tile::kColumnTiles];

/** sums += a step's left times its right, over the first `inner` of its inner dimension. */
template <class T, class Tile, Inner kRight>
GPU_INLINE void multiply_step(LinearSums<Tile>& sums, const T* left_tile, const T* right_tile, int inner) {
  using Ring = LinearRing<T, Tile, kRight>;
  const WarpPlace<Tile> place;
#pragma unroll
  for (int k = 0; k < Ring::kInner; k += kStep<T>) {
    if (k >= inner) break;
    LeftFragment<T> left[Tile::kRowTiles];
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; i++)
      left[i].template load<Inner::kAlongRow>(left_tile, Ring::kLeftLd, place.row + i * kProductRows, k);
#pragma unroll
    for (int j = 0; j < Tile::kColumnTiles; j++) {
      RightFragment<T> right;
      right.template load<kRight>(right_tile, Ring::kRightLd, place.column + j * kTileRanks, k);
#pragma unroll
      for (int i = 0; i < Tile::kRowTiles; i++) multiply_add(sums[i][j], left[i], right);
    }
  }
}

/** A module's mask of the tile at (row, column), drawn or as it was kept: a word for each row and 16 columns. */
template <class Tile>
GPU_INLINE void make_tile_mask(uint16_t* words, const DropoutMask& dropout, const RankSlab& slab, int64_t row, int64_t column,
                               int64_t rows, int64_t columns) {
  constexpr int kWords = Tile::kColumns / kTileMaskColumns;
  static_assert(kTileMaskColumns == kKeptColumns, "a word is what is kept of a row");
  const PhiloxKeys keys = philox_keys(dropout_key(dropout.seed));
  const MaskGenerator generator(dropout, keys, slab.mask_name);
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kWords; i += Tile::kThreads) {
    const int64_t m = row + i / kWords, n = column + i % kWords * kTileMaskColumns;
    if (slab.kept == nullptr) {
      words[i] = static_cast<uint16_t>(generator.template draw<2>(mask_group(m, n, columns)));
    } else {
      const int64_t index = kept_index(m, n, rows, columns);
      words[i] = index < kept_size(rows, columns) ? slab.kept[index] : uint16_t{0};
    }
  }
}

/** Like multiply_step, with the mask on the product, whose product with the scale is rounded before it is added. */
template <class T, class Tile, Inner kRight>
GPU_INLINE void multiply_masked_step(LinearSums<Tile>& sums, const T* stage, int inner, const uint16_t* masks,
                                     float keep_scale) {
  using Ring = LinearRing<T, Tile, kRight>;
  const WarpPlace<Tile> place;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; i++)
#pragma unroll
    for (int j = 0; j < Tile::kColumnTiles; j++) {
      Accumulator product = {};
#pragma unroll
      for (int k = 0; k < Ring::kInner; k += kStep<T>) {
        if (k >= inner) break;
        LeftFragment<T> left;
        left.template load<Inner::kAlongRow>(stage, Ring::kLeftLd, place.row + i * kProductRows, k);
        multiply_add<kRight>(product, left, stage + Ring::kLeft, Ring::kRightLd, place.column + j * kTileRanks, k);
      }
      const uint16_t* words = masks + place.column / kTileMaskColumns + j;
#pragma unroll
      for (int e = 0; e < 8; e++) {
        const unsigned word =
            words[(place.row + i * kProductRows + accumulator_row(e % 4)) * (Tile::kColumns / kTileMaskColumns)];
        const bool kept = (word >> mask_bit(accumulator_column(e / 4, e % 4)) & 1) != 0;
        float& sum = sums[i][j][e / 4][e % 4];
        sum = kept ? __fadd_rn(sum, __fmul_rn(product[e / 4][e % 4], keep_scale)) : sum;
      }
    }
}

template <class T>
struct alignas(2 * sizeof(T)) ElementPair {
  T first, second;
};

/** Rounds the sums, bias added, into `tile` in shared memory, and writes it out. */
template <class T, class Tile, Inner kRight>
GPU_INLINE void store_tile(const LinearSums<Tile>& sums, T* tile, const LinearArguments<T>& arguments, int64_t row,
                           int64_t column) {
  constexpr int kLd = LinearRing<T, Tile, kRight>::kOutLd, kVector = gpu::kPerVector<T>, kVectors = Tile::kColumns / kVector;
  const WarpPlace<Tile> place;
#pragma unroll
  for (int j = 0; j < Tile::kColumnTiles; j++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int c = place.column + j * kTileRanks + accumulator_column(half, 0);
      float bias[2] = {};
      for (int k = 0; k < 2; k++)
        if (arguments.bias != nullptr && column + c + k < arguments.columns)
          bias[k] = gpu::to_float(arguments.bias[column + c + k]);
#pragma unroll
      for (int i = 0; i < Tile::kRowTiles; i++)
#pragma unroll
        for (int e = 0; e < 4; e += 2) {
          const int r = place.row + i * kProductRows + accumulator_row(e);
          *reinterpret_cast<ElementPair<T>*>(tile + r * kLd + c) = {gpu::from_float<T>(sums[i][j][half][e] + bias[0]),
                                                                    gpu::from_float<T>(sums[i][j][half][e + 1] + bias[1])};
        }
    }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kVectors; i += Tile::kThreads) {
    const int r = i / kVectors, c = i % kVectors * kVector;
    if (row + r >= arguments.left.rows) continue;
    T* to = arguments.out + (row + r) * arguments.ldout + column + c;
    const T* from = tile + r * kLd + c;
    if (arguments.out_aligned && column + c + kVector <= arguments.columns) {
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
    } else {
      for (int k = 0; k < kVector && column + c + k < arguments.columns; k++) to[k] = from[k];
    }
  }
}

/** sums += the masked rank products, module by module; the mask is drawn while the operands are on their way. */
template <class T, class Tile, Inner kRight>
GPU_INLINE void add_masked_ranks(LinearSums<Tile>& sums, const LinearArguments<T>& arguments, LinearStep step, int64_t row,
                                 int64_t column, T* ring) {
  using Ring = LinearRing<T, Tile, kRight>;
  uint16_t* const masks = reinterpret_cast<uint16_t*>(ring + Ring::kStages * Ring::kStage);
  while (step.slab < arguments.slab_count) {
    __syncthreads();  // what lay there has been read
    load_step<T, Tile, kRight>(ring, arguments, step, row, column);
    ptx::cp_async_commit();
    make_tile_mask<Tile>(masks, read_mask(arguments.dropout), arguments.slabs[step.slab], row, column, arguments.left.rows,
                         arguments.columns);
    ptx::cp_async_wait<0>();
    __syncthreads();
    const int inner = static_cast<int>(gpu::least(inner_left(arguments, step), Ring::kInner));
    multiply_masked_step<T, Tile, kRight>(sums, ring, inner, masks, arguments.dropout.keep_scale);
    advance(step, arguments, Ring::kInner, column, Tile::kColumns);
  }
}

/** Where the ring's steps begin if W is dense: with W. */
struct AllSteps {
  template <class Sums, class T>
  GPU_INLINE LinearStep operator()(Sums&, int64_t, int64_t, T*) const {
    return {-1, 0};
  }
};

/**
 * One tile of the result from (row, column) on. `begin` is given the sums, the place and the ring's memory, and may do the
 * first steps itself; it returns the first step that is left. `wait_for_ranks` is called once, by all threads, before the first
 * rank step.
 */
template <class T, class Tile, Inner kRight, bool kMasked, class Begin, class Wait>
GPU_INLINE void linear_tile(const LinearArguments<T>& arguments, int64_t row, int64_t column, T* ring, Begin begin,
                            Wait wait_for_ranks) {
  using Ring = LinearRing<T, Tile, kRight>;
  LinearSums<Tile> sums = {};
  LinearStep taken = begin(sums, row, column, ring), fetched = taken;
  const int end = kMasked ? 0 : arguments.slab_count;  // masked ranks come after the ring
  bool waited = false;
  const auto fetch = [&](int stage) {
    if (fetched.slab < end) {
      if (fetched.slab >= 0 && !waited) {
        wait_for_ranks();
        waited = true;
      }
      load_step<T, Tile, kRight>(ring + stage * Ring::kStage, arguments, fetched, row, column);
      advance(fetched, arguments, Ring::kInner, column, Tile::kColumns);
    }
    ptx::cp_async_commit();
  };

  for (int stage = 0; stage < Ring::kStages - 1; stage++) fetch(stage);
  for (int stage = 0; taken.slab < end; stage = stage + 1 == Ring::kStages ? 0 : stage + 1) {
    ptx::cp_async_wait<Ring::kStages - 2>();
    __syncthreads();  // this step's tiles are there, and the last step's are free
    fetch(stage == 0 ? Ring::kStages - 1 : stage - 1);
    const int inner = static_cast<int>(gpu::least(inner_left(arguments, taken), Ring::kInner));
    const T* const tiles = ring + stage * Ring::kStage;
    multiply_step<T, Tile, kRight>(sums, tiles, tiles + Ring::kLeft, inner);
    advance(taken, arguments, Ring::kInner, column, Tile::kColumns);
  }
  if (kMasked) add_masked_ranks<T, Tile, kRight>(sums, arguments, taken, row, column, ring);
  ptx::cp_async_wait<0>();
  __syncthreads();  // the result takes the place of the ring
  store_tile<T, Tile, kRight>(sums, ring, arguments, row, column);
}

/** Counts that are done of the row blocks of S from which rows of it may be read: a block that adds slots counts once more. */
template <class T>
GPU_INLINE unsigned finished_count(const LinearForwardArguments<T>& arguments) {
  return static_cast<unsigned>(arguments.product.order.s_parts) + (arguments.shares > 1 ? 1 : 0);
}

/** Makes a part of S; the block that is the last of its rows' adds the shares' sums, in order. */
template <class T>
GPU_INLINE void make_s(const LinearForwardArguments<T>& arguments, const LinearWork& work, unsigned char* memory) {
  GPU_SHARED(bool, is_last);
  const DownArguments<T>& down = arguments.down;
  down_block<false, kChunkTiles, false>(down, work.row, work.part % arguments.shares,
                                        static_cast<int>(work.part / arguments.shares), memory);
  unsigned* const count = arguments.counters + 1 + work.row;
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::fence_release();  // the block's part before its count
    is_last = atomicAdd(count, 1u) + 1 == static_cast<unsigned>(arguments.product.order.s_parts);
  }
  if (arguments.shares == 1) return;
  __syncthreads();
  if (!is_last) return;
  ptx::load_acquire(count);  // the counts before the others' slots, for each thread that reads them
  const FinishRowsArguments<T, const Stack&> finish = {down.slots, arguments.shares, down.x.rows, down.stack, nullptr, nullptr,
                                                       0,          PP_IDENTITY,      nullptr};
  const int64_t first = work.row * Down::kRows, end = gpu::least(first + Down::kRows, down.x.rows);
  for (int64_t i = first * down.stack.columns + static_cast<int64_t>(threadIdx.x); i < end * down.stack.columns;
       i += Down::kThreads)
    finish_row_element<false>(finish, i);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::fence_release();  // S before its count
    atomicAdd(count, 1u);
  }
}

/** A block's work forward: a part of S, or a tile of y. */
template <class T, class Tile, class Begin>
GPU_INLINE void linear_forward_block(const LinearForwardArguments<T>& arguments, unsigned char* memory, Begin begin) {
  GPU_SHARED(unsigned, shared_ticket);
  const LinearOrder& order = arguments.product.order;
  int64_t ticket = blockIdx.x;
  if (arguments.counters != nullptr) {
    if (threadIdx.x == 0) shared_ticket = atomicAdd(arguments.counters, 1u);
    __syncthreads();
    ticket = shared_ticket;
  }
  const LinearWork work = linear_work(order, ticket);
  if (work.makes_s) return make_s(arguments, work, memory);
  const auto wait = [&] {
    const unsigned* first = arguments.counters + 1 + work.row * order.s_blocks_per_tile;
    const unsigned* end = arguments.counters + 1 + gpu::least((work.row + 1) * order.s_blocks_per_tile, order.s_row_blocks);
    if (threadIdx.x == 0)
      for (const unsigned* count = first; count < end; count++)
        while (ptx::load_acquire(count) != finished_count(arguments)) continue;
    __syncthreads();
    for (const unsigned* count = first; count < end; count++) ptx::load_acquire(count);  // for each thread that reads S
  };
  linear_tile<T, Tile, Inner::kAlongRow, false>(arguments.product, work.row * Tile::kRows, work.column * Tile::kColumns,
                                                reinterpret_cast<T*>(memory), begin, wait);
}

/** A block's tile of dX. */
template <class T, class Tile, bool kMasked, class Begin>
GPU_INLINE void linear_grad_input_block(const LinearArguments<T>& arguments, unsigned char* memory, Begin begin) {
  const LinearWork work = linear_work(arguments.order, blockIdx.x);
  linear_tile<T, Tile, Inner::kAlongColumn, kMasked>(arguments, work.row * Tile::kRows, work.column * Tile::kColumns,
                                                     reinterpret_cast<T*>(memory), begin, [] {});
}

// CUDA kernels

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocksPerProcessor)
    linear_forward_kernel(const __grid_constant__ LinearForwardArguments<T> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  linear_forward_block<T, Tile>(arguments, memory, AllSteps{});
}

template <class T, class Tile, bool kMasked>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocksPerProcessor)
    linear_grad_input_kernel(const __grid_constant__ LinearArguments<T> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  linear_grad_input_block<T, Tile, kMasked>(arguments, memory, AllSteps{});
}
}  // namespace prunepeft::cuda
