// Products of narrow matrices added to a wide one: out = base + Σ over modules of Dᵀ(P Q) + bias, with P [M,rank] (or σ of
// what is stored there) and Q as [rank,N] (A, D) or [N,rank] (B, U). Or, in place of out, Σ|P Q + bias| over the rows of a
// mask.
//
// Tiling: a block of 4 warps makes 64 by 64 elements. Each thread first reads its part of the base (four groups of eight
// columns), so that this read overlaps the product, if nothing drops; ranks are taken 64 at a time; the warps' products
// pass through shared memory to the threads that hold the groups: without dropout once, the products of all modules being
// one sum, else for each module, with one Philox draw a group, or a byte of the mask that the forward pass has kept. The
// grid is one-dimensional, column blocks fastest.
//
// Where all operands have aligned rows, and ranks and columns end with a whole vector, a thread's addresses in P and Q are made
// once and moved from 16 ranks to the next (kAligned); else, and for the magnitude, load_tile makes them.
//
// Limit: the bytes of base and out over memory bandwidth (of nothing but P and Q for the magnitude).
#pragma once

#include "cuda/reduce.cuh"
#include "linear/cuda/dropout.cuh"
#include "linear/cuda/finish.cuh"
#include "linear/cuda/product.cuh"
#include "linear/cuda/stack.cuh"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
struct Up {
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / gpu::kWarp;
  static constexpr int kRows = kWarps * kProductRows;
  static constexpr int kColumns = 64;
  static constexpr int kColumnTiles = kColumns / kTileRanks;
  /** Ranks taken at a time. */
  static constexpr int kInner = 64;
  static constexpr int kGroupsPerRow = kColumns / gpu::kGroup;
  /** Groups of a thread: rows kRowStep apart, the same columns. */
  static constexpr int kRowStep = kThreads / kGroupsPerRow;
  static constexpr int kGroups = kRows / kRowStep;
  static_assert(kGroups == 4, "a thread's masks are a word");
  /**
   * Given to the compiler: what it reaches without spills. For `up` in 16 bits these are four, of which it else misses the
   * registers by a few.
   */
  static constexpr int kBlocksPerProcessor = 2;
  template <class T>
  static constexpr int kBlocksOfUp = sizeof(T) == 2 ? 4 : kBlocksPerProcessor;
  /**
   * Rows of a product in shared memory: with pairs of a fragment's elements, or halves of groups, the lanes that are served at
   * once are in banks of their own.
   */
  static constexpr int kProductLd = kColumns + 8;
  /** Where element `within` of a group that begins at column `first` lies: from 32 on with the group's halves exchanged. */
  GPU_INLINE static constexpr int product_column(int first, int within) { return first + (within ^ first / 32 * 4); }

  /**
   * Leading dimension of tiles with so many ranks along a row: in 16 bits a constant, since the product takes as much memory as
   * tiles of 64 ranks.
   */
  template <class T>
  __host__ __device__ static constexpr int operand_ld(int inner) {
    return padded<T>(sizeof(T) == 2 ? kInner : inner);
  }

  /** The two operand tiles, and in their place the product. */
  template <class T>
  static constexpr size_t shared_bytes(int64_t largest_rank) {
    const int inner = static_cast<int>(gpu::least(gpu::round_up(largest_rank, kTileRanks), kInner));
    const size_t p = static_cast<size_t>(kRows) * operand_ld<T>(inner) * sizeof(T);
    const size_t q_rows = static_cast<size_t>(kColumns) * operand_ld<T>(inner),
                 q_columns = static_cast<size_t>(inner) * padded<T>(kColumns);
    const size_t operands = p + (q_rows > q_columns ? q_rows : q_columns) * sizeof(T);
    const size_t product = static_cast<size_t>(kRows) * kProductLd * sizeof(float);
    return operands > product ? operands : product;
  }
};
static_assert(Up::shared_bytes<float>(Up::kInner) <= gpu::kMostSharedBytes, "a block fits every device");

template <class T, class S = Stack>
struct UpArguments {
  int64_t M;
  int64_t N;
  S stack;          // s as P, a as Q, rank, module, kept
  bool p_aligned;   // all of the P's
  bool q_aligned;   // all of the Q's
  bool rank_major;  // Q is [rank,N] rather than [N,rank]
  DropoutSpec dropout;
  PhiloxKeys keys;            // of the dropout
  const T* base;              // null for the magnitude
  int64_t ldbase, base_step;  // from a group of a thread to the next: told, a step is kept, and not derived for each
  const T* bias;              // [N], or null
  T* out;
  int64_t ldout, out_step;
  bool out_aligned;         // base and out
  const uint8_t* row_mask;  // [M], or null
  double* magnitudes;       // null, or one slot a block, in place of out
};

__host__ __device__ constexpr int64_t up_blocks(int64_t M, int64_t N) {
  return gpu::divide_up(M, Up::kRows) * gpu::divide_up(N, Up::kColumns);
}

/** Where a block's tile begins, and how much of it lies inside. */
struct UpTile {
  int64_t row, column;
  int rows, columns;
};

/** Bytes of a vector that is there or not, which takes fewer instructions than one that may be there in part. */
GPU_INLINE int whole_vector(bool there) {
  return there ? gpu::kVectorBytes : 0;
}

/**
 * The way of a thread's vectors of 64 rows of P or of Q [N,rank], from 16 ranks to the next. Threads go down eight rows before
 * they go along them, so that the vectors which are served at once are in banks of their own.
 */
template <class T>
struct UpWalk {
  static constexpr int kAcross = kTileRanks / gpu::kPerVector<T>, kDown = 8, kRowStep = Up::kThreads / kAcross;
  static_assert(Up::kRows == Up::kColumns && Up::kRows % kRowStep == 0,
                "P and Q are walked alike, and threads share it evenly");

  const T* from;
  int64_t ld_from;

  GPU_INLINE static int row() {
    return static_cast<int>(threadIdx.x) / (kDown * kAcross) * kDown + static_cast<int>(threadIdx.x) % kDown;
  }
  GPU_INLINE static int column() { return static_cast<int>(threadIdx.x) / kDown % kAcross * gpu::kPerVector<T>; }

  GPU_INLINE void start(const T* data, int64_t ld, int64_t row_from, int64_t column_from) {
    from = data + (row_from + row()) * ld + column_from + column();
    ld_from = ld;
  }
  /** Copies a tile of which so many rows and ranks are there. */
  GPU_INLINE void copy(T* tile, int ld, int rows, int ranks) {
    T* const to = tile + row() * ld + column();
    const bool there = column() < ranks;
#pragma unroll
    for (int i = 0; i < Up::kRows; i += kRowStep)
      ptx::cp_async16(to + i * ld, from + i * ld_from, whole_vector(there && row() + i < rows));
    from += kTileRanks;
  }
};

/** Reads P and Q from rank `first` on into tiles of `inner` ranks. */
template <bool kAligned, class T, class S>
GPU_INLINE void load_operands(T* p, T* q, const UpArguments<T, S>& arguments, const StackedModule& module, int first, int inner,
                              const UpTile& tile) {
  const T* const s = static_cast<const T*>(module.s);
  const T* const a = static_cast<const T*>(module.a);
  const int ld = Up::operand_ld<T>(inner), ranks = module.rank - first;
  if constexpr (kAligned) {
    using RanksWalk = TileWalk<T, kTileRanks, Up::kColumns, Up::kThreads>;
    UpWalk<T> of_p;
    of_p.start(s, module.lds, tile.row, first);
    if (arguments.rank_major) {
      RanksWalk of_q;
      of_q.start(a, module.lda, first, tile.column);
      const int bytes = whole_vector(RanksWalk::column() < tile.columns);
#pragma unroll 1
      for (int k = 0; k < inner; k += kTileRanks) {
        of_p.copy(p + k, ld, tile.rows, ranks - k);
        of_q.copy(q + k * padded<T>(Up::kColumns), padded<T>(Up::kColumns), ranks - k, bytes, kTileRanks * module.lda);
      }
    } else {
      UpWalk<T> of_q;
      of_q.start(a, module.lda, tile.column, first);
#pragma unroll 1
      for (int k = 0; k < inner; k += kTileRanks) {
        of_p.copy(p + k, ld, tile.rows, ranks - k);
        of_q.copy(q + k, ld, tile.columns, ranks - k);
      }
    }
  } else {
    load_tile(p, ld, Up::kRows, inner, {s, module.lds, arguments.M, module.rank, arguments.p_aligned}, tile.row, first,
              Up::kThreads);
    if (arguments.rank_major)
      load_tile(q, padded<T>(Up::kColumns), inner, Up::kColumns, {a, module.lda, module.rank, arguments.N, arguments.q_aligned},
                first, tile.column, Up::kThreads);
    else
      load_tile(q, ld, Up::kColumns, inner, {a, module.lda, arguments.N, module.rank, arguments.q_aligned}, tile.column, first,
                Up::kThreads);
  }
}

/** The warp's 16 rows of P times Q, for one set of ranks. */
template <Inner kInner, class T>
GPU_INLINE void multiply_operands(Accumulator (&sums)[Up::kColumnTiles], const T* p, const T* q, int inner) {
  const int warp = static_cast<int>(threadIdx.x) / gpu::kWarp;
  const int ldp = Up::operand_ld<T>(inner), ldq = kInner == Inner::kAlongRow ? ldp : padded<T>(Up::kColumns);
#pragma unroll 1
  for (int k = 0; k < inner; k += kStep<T>) {
    LeftFragment<T> left;
    left.template load<Inner::kAlongRow>(p, ldp, warp * kProductRows, 0);
#pragma unroll
    for (int t = 0; t < Up::kColumnTiles; t++) multiply_add<kInner>(sums[t], left, q, ldq, t * kTileRanks, 0);
    p += kStep<T>;
    q += kInner == Inner::kAlongRow ? kStep<T> : kStep<T> * ldq;
  }
}

/** Where a thread's groups begin: its first row of the block's tile, and its column. */
struct UpPlace {
  int row = static_cast<int>(threadIdx.x) / Up::kGroupsPerRow;
  int column = static_cast<int>(threadIdx.x) % Up::kGroupsPerRow * gpu::kGroup;
};

/** The module's masks of the thread's groups: byte g is that of group g. */
template <class T, class S>
GPU_INLINE unsigned masks_of_groups(const UpArguments<T, S>& arguments, const DropoutMask& dropout, const StackedModule& module,
                                    const UpTile& tile) {
  const UpPlace place;
  unsigned keep = ~0u;
  if (module.kept != nullptr) {
    static_assert(Up::kRowStep == kKeptRows, "the groups' rows have the same place in theirs");
    const int64_t m = tile.row + place.row, n = tile.column + place.column;
    const auto* from = reinterpret_cast<const unsigned char*>(module.kept + kept_index(m, n, arguments.M, arguments.N)) +
                       place.column / kMaskColumns % 2;
#pragma unroll
    for (int g = Up::kGroups - 1; g >= 0; g--) {
      const bool there = place.row + g * Up::kRowStep < tile.rows && place.column < tile.columns;
      keep = keep << 8 | (there ? from[g * kKeptRows * static_cast<int>(sizeof(uint16_t))] : 0u);
    }
    return keep;
  }
  const MaskGenerator generator(dropout, arguments.keys, module.mask_name);
  const uint64_t group = mask_group(tile.row + place.row, tile.column + place.column, arguments.N);
#pragma unroll
  for (int g = Up::kGroups - 1; g >= 0; g--)
    generator.append(keep, group + static_cast<uint64_t>(g * Up::kRowStep * dropout_groups(arguments.N)));
  return keep;
}

/**
 * Leaves the warp's product in shared memory, times the scale. It is rounded before it is added, in every kernel; scaled here,
 * it takes no instruction more in what a mask makes conditional.
 */
template <bool kMasked>
GPU_INLINE void store_product(float* product, const Accumulator (&sums)[Up::kColumnTiles], float keep_scale) {
  const int warp_row = static_cast<int>(threadIdx.x) / gpu::kWarp * kProductRows;
  const auto scaled = [&](float v) { return kMasked ? __fmul_rn(v, keep_scale) : v; };
#pragma unroll
  for (int t = 0; t < Up::kColumnTiles; t++)
#pragma unroll
    for (int e = 0; e < 8; e += 2) {
      const int column = Up::product_column(t * kTileRanks + e / 4 * gpu::kGroup, accumulator_column(0, e % 4));
      *reinterpret_cast<float2*>(product + (warp_row + accumulator_row(e % 4)) * Up::kProductLd + column) = {
          scaled(sums[t][e / 4][e % 4]), scaled(sums[t][e / 4][e % 4 + 1])};
    }
}

/** Adds a module's product, which lies in shared memory, to the thread's groups, of which `keep` are the masks if it drops. */
template <bool kMasked>
GPU_INLINE void add_product(float (&sums)[Up::kGroups][gpu::kGroup], const float* product, unsigned keep) {
  const UpPlace place;
#pragma unroll
  for (int g = 0; g < Up::kGroups; g++) {
    const float* const row = product + (place.row + g * Up::kRowStep) * Up::kProductLd;
    alignas(gpu::kVectorBytes) float v[gpu::kGroup];
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k += gpu::kPerVector<float>)
      *reinterpret_cast<uint4*>(v + k) = *reinterpret_cast<const uint4*>(row + Up::product_column(place.column, k));
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++) {
      if constexpr (kMasked)
        sums[g][k] = (keep >> (8 * g + mask_bit(k)) & 1) != 0 ? __fadd_rn(sums[g][k], v[k]) : sums[g][k];
      else
        sums[g][k] += v[k];
    }
  }
}

/**
 * Runs `vector` on whole aligned groups of the thread, `element` on each element of the others that lies inside. `at` is where
 * the first group lies in a matrix, `step` the way from one to the next.
 */
template <bool kAligned, class T, class Vector, class Element>
GPU_INLINE void for_groups(const UpTile& tile, bool aligned, T* at, int64_t step, Vector vector, Element element) {
  const UpPlace place;
#pragma unroll
  for (int g = 0; g < Up::kGroups; g++, at += step) {
    if (place.row + g * Up::kRowStep >= tile.rows) continue;
    if (place.column + gpu::kGroup <= tile.columns && (kAligned || aligned)) {
      vector(g, at);
    } else if constexpr (!kAligned) {
#pragma unroll
      for (int k = 0; k < gpu::kGroup; k++)
        if (place.column + k < tile.columns) element(g, k, at + k);
    }
  }
}

/** The block's Σ|sum + bias| over rows that the mask keeps, for thread 0. */
template <class T, class S>
GPU_INLINE double sum_magnitudes(const float (&sums)[Up::kGroups][gpu::kGroup], const UpArguments<T, S>& arguments,
                                 const UpTile& tile) {
  GPU_SHARED(double[Up::kWarps], warp_sums);
  const UpPlace place;
  double sum = 0;
#pragma unroll
  for (int g = 0; g < Up::kGroups; g++) {
    const int r = place.row + g * Up::kRowStep;
    if (r >= tile.rows || (arguments.row_mask != nullptr && arguments.row_mask[tile.row + r] == 0)) continue;
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++)
      if (place.column + k < tile.columns)
        sum += fabsf(sums[g][k] +
                     (arguments.bias != nullptr ? gpu::to_float(arguments.bias[tile.column + place.column + k]) : 0.0f));
  }
  sum = gpu::warp_sum(sum);
  if (lane_index() == 0) warp_sums[threadIdx.x / gpu::kWarp] = sum;
  __syncthreads();
  sum = 0;
  if (threadIdx.x == 0)
    for (int i = 0; i < Up::kWarps; i++) sum += warp_sums[i];
  return sum;
}

/** What one block does: the 64 by 64 elements of number `block`, column blocks fastest. */
template <bool kAligned, bool kMasked, class T, class S>
GPU_INLINE void up_block(const UpArguments<T, S>& arguments, unsigned block, unsigned char* memory) {
#if defined(__CUDACC__)
  __builtin_assume(threadIdx.x < Up::kThreads);  // so that a thread's place takes shifts, not divisions
#endif
  const unsigned column_blocks = static_cast<unsigned>(gpu::divide_up(arguments.N, Up::kColumns));
  UpTile tile = {int64_t{block / column_blocks} * Up::kRows, int64_t{block % column_blocks} * Up::kColumns, 0, 0};
  tile.rows = static_cast<int>(gpu::least(arguments.M - tile.row, Up::kRows));
  tile.columns = static_cast<int>(gpu::least(arguments.N - tile.column, Up::kColumns));
  float* const product = reinterpret_cast<float*>(memory);
  const DropoutMask dropout = read_mask(arguments.dropout);

  // Where nothing drops, the base stays as it is stored until the product is there: what converts it waits for it.
  alignas(gpu::kVectorBytes) T stored[Up::kGroups][gpu::kGroup] = {};
  const UpPlace place;  // addresses of the thread's groups are made once, and moved by a constant
  if (arguments.base != nullptr) {
    const T* const base = arguments.base + (tile.row + place.row) * arguments.ldbase + tile.column + place.column;
    for_groups<kAligned>(
        tile, arguments.out_aligned, base, arguments.base_step,
        [&](int g, const T* from) { gpu::load_stored_group(from, stored[g]); },
        [&](int g, int k, const T* from) { stored[g][k] = *from; });
  }
  float sums[Up::kGroups][gpu::kGroup] = {};
  const auto add_base = [&] {
    if (arguments.base == nullptr) return;
#pragma unroll
    for (int g = 0; g < Up::kGroups; g++)
#pragma unroll
      for (int k = 0; k < gpu::kGroup; k++) sums[g][k] = gpu::to_float(stored[g][k]);
  };

  const auto multiply = [&](Accumulator(&products)[Up::kColumnTiles], const StackedModule& module) {
    for (int first = 0; first < module.rank; first += Up::kInner) {
      const int left = module.rank - first, inner = left < Up::kInner ? (left + kTileRanks - 1) & -kTileRanks : Up::kInner;
      T* const p = reinterpret_cast<T*>(memory);
      T* const q = p + Up::kRows * Up::operand_ld<T>(inner);
      __syncthreads();  // what lay there has been read
      load_operands<kAligned>(p, q, arguments, module, first, inner, tile);
      ptx::cp_async_commit();
      ptx::cp_async_wait<0>();
      __syncthreads();
      if (arguments.rank_major)
        multiply_operands<Inner::kAlongColumn>(products, p, q, inner);
      else
        multiply_operands<Inner::kAlongRow>(products, p, q, inner);
    }
  };
  if constexpr (kMasked) {
    add_base();  // the modules' products follow one by one
    for (int b = 0; b < arguments.stack.count; b++) {
      const StackedModule& module = arguments.stack.modules[b];
      Accumulator products[Up::kColumnTiles] = {};
      multiply(products, module);
      __syncthreads();  // the product takes the place of the operands
      store_product<true>(product, products, dropout.keep_scale);
      const unsigned keep = dropout.threshold != 0 ? masks_of_groups(arguments, dropout, module, tile) : ~0u;
      __syncthreads();
      add_product<true>(sums, product, keep);
    }
  } else {
    // What no mask parts is one sum, which passes through shared memory once.
    Accumulator products[Up::kColumnTiles] = {};
    for (int b = 0; b < arguments.stack.count; b++) multiply(products, arguments.stack.modules[b]);
    __syncthreads();
    store_product<false>(product, products, 1);
    add_base();
    __syncthreads();
    add_product<false>(sums, product, ~0u);
  }

  if constexpr (!kAligned)
    if (arguments.magnitudes != nullptr) {
      const double sum = sum_magnitudes(sums, arguments, tile);
      if (threadIdx.x == 0) arguments.magnitudes[block] = sum;
      return;
    }
  if (arguments.bias != nullptr) {
    const T* const bias = arguments.bias + tile.column + place.column;
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++) {
      const float b = place.column + k < tile.columns ? gpu::to_float(bias[k]) : 0.0f;
#pragma unroll
      for (int g = 0; g < Up::kGroups; g++) sums[g][k] += b;
    }
  }
  T* const out = arguments.out + (tile.row + place.row) * arguments.ldout + tile.column + place.column;
  for_groups<kAligned>(
      tile, arguments.out_aligned, out, arguments.out_step, [&](int g, T* to) { gpu::store_global_group(to, sums[g]); },
      [&](int g, int k, T* to) { *to = gpu::from_float<T>(sums[g][k]); });
}

// CUDA kernels

/** Calls without dropout have a kernel of their own: what masks need is worked out before a block's modules. */
template <class T, bool kAligned, bool kMasked>
__global__ void __launch_bounds__(Up::kThreads, Up::kBlocksOfUp<T>) up(const __grid_constant__ UpArguments<T> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  up_block<kAligned, kMasked>(arguments, blockIdx.x, memory);
}
}  // namespace prunepeft::cuda
