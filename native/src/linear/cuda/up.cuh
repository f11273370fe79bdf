// Products of narrow matrices added to a wide one: out = base + Σ over modules of Dᵀ(P Q) + bias, with P [M,rank] (or σ of
// what is stored there) and Q as [rank,N] (A, D) or [N,rank] (B, U). Or, in place of out, Σ|P Q + bias| over the rows of a
// mask.
//
// Tiling: a block of 4 warps makes 64 by 64 elements. Each thread first reads its part of the base (four groups of eight
// columns), so that this read overlaps the product; ranks are taken 64 at a time; the warps' products pass through shared
// memory to the threads that hold the groups, one Philox draw a group and module, or a byte of the mask that the forward pass
// has kept. The grid is one-dimensional, column blocks fastest.
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
  /** Where a column lies: from 32 on with the halves of its group exchanged. */
  GPU_INLINE static constexpr int product_column(int column) { return column ^ column / 32 * 4; }

  /** The two operand tiles, and in their place the product. */
  template <class T>
  static constexpr size_t shared_bytes(int64_t largest_rank) {
    const int inner = static_cast<int>(gpu::least(gpu::round_up(largest_rank, kTileRanks), kInner));
    const size_t p = static_cast<size_t>(kRows) * padded<T>(inner) * sizeof(T);
    const size_t q_rows = static_cast<size_t>(kColumns) * padded<T>(inner),
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
  PhiloxKeys keys;  // of the dropout
  const T* base;    // null for the magnitude
  int64_t ldbase;
  const T* bias;  // [N], or null
  T* out;
  int64_t ldout;
  bool out_aligned;         // base and out
  const uint8_t* row_mask;  // [M], or null
  double* magnitudes;       // null, or one slot a block, in place of out
};

__host__ __device__ constexpr int64_t up_blocks(int64_t M, int64_t N) {
  return gpu::divide_up(M, Up::kRows) * gpu::divide_up(N, Up::kColumns);
}

/** Reads P and Q from rank `first` on into tiles of `inner` ranks. */
template <class T, class S>
GPU_INLINE void load_operands(T* p, T* q, const UpArguments<T, S>& arguments, const StackedModule& module, int first, int inner,
                              int64_t row, int64_t column) {
  const Source<T> p_source = {static_cast<const T*>(module.s), module.lds, arguments.M, module.rank, arguments.p_aligned};
  load_tile(p, padded<T>(inner), Up::kRows, inner, p_source, row, first, Up::kThreads);
  const T* a = static_cast<const T*>(module.a);
  if (arguments.rank_major) {
    const Source<T> q_source = {a, module.lda, module.rank, arguments.N, arguments.q_aligned};
    load_tile(q, padded<T>(Up::kColumns), inner, Up::kColumns, q_source, first, column, Up::kThreads);
  } else {
    const Source<T> q_source = {a, module.lda, arguments.N, module.rank, arguments.q_aligned};
    load_tile(q, padded<T>(inner), Up::kColumns, inner, q_source, column, first, Up::kThreads);
  }
}

/** The warp's 16 rows of P times Q, for one set of ranks. */
template <Inner kInner, class T>
GPU_INLINE void multiply_operands(Accumulator (&sums)[Up::kColumnTiles], const T* p, const T* q, int inner) {
  const int warp = static_cast<int>(threadIdx.x) / gpu::kWarp;
  const int ldq = padded<T>(kInner == Inner::kAlongRow ? inner : Up::kColumns);
#pragma unroll 1
  for (int k = 0; k < inner; k += kStep<T>) {
    LeftFragment<T> left;
    left.template load<Inner::kAlongRow>(p, padded<T>(inner), warp * kProductRows, k);
#pragma unroll
    for (int t = 0; t < Up::kColumnTiles; t++) multiply_add<kInner>(sums[t], left, q, ldq, t * kTileRanks, k);
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
                                    int64_t row, int64_t column) {
  const UpPlace place;
  unsigned keep = ~0u;
  if (module.kept != nullptr) {
    static_assert(Up::kRowStep == kKeptRows, "the groups' rows have the same place in theirs");
    const int64_t m = row + place.row, n = column + place.column;
    const auto* from = reinterpret_cast<const unsigned char*>(module.kept + kept_index(m, n, arguments.M, arguments.N)) +
                       place.column / kMaskColumns % 2;
#pragma unroll
    for (int g = Up::kGroups - 1; g >= 0; g--) {
      const bool there = m + g * Up::kRowStep < arguments.M && n < arguments.N;
      keep = keep << 8 | (there ? from[g * kKeptRows * static_cast<int>(sizeof(uint16_t))] : 0u);
    }
    return keep;
  }
  const MaskGenerator generator(dropout, arguments.keys, module.mask_name);
  const uint64_t group = mask_group(row + place.row, column + place.column, arguments.N);
#pragma unroll
  for (int g = Up::kGroups - 1; g >= 0; g--)
    generator.append(keep, group + static_cast<uint64_t>(g * Up::kRowStep * dropout_groups(arguments.N)));
  return keep;
}

/**
 * Adds a module's product, which lies in shared memory, to the thread's groups, of which `keep` are the masks if it drops. The
 * product with the scale is rounded before it is added, in every kernel.
 */
template <bool kMasked>
GPU_INLINE void add_product(float (&sums)[Up::kGroups][gpu::kGroup], const float* product, unsigned keep, float keep_scale) {
  const UpPlace place;
#pragma unroll
  for (int g = 0; g < Up::kGroups; g++) {
    const float* const row = product + (place.row + g * Up::kRowStep) * Up::kProductLd;
    alignas(gpu::kVectorBytes) float v[gpu::kGroup];
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k += gpu::kPerVector<float>)
      *reinterpret_cast<uint4*>(v + k) = *reinterpret_cast<const uint4*>(row + Up::product_column(place.column + k));
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++) {
      if constexpr (kMasked)
        sums[g][k] = (keep >> (8 * g + mask_bit(k)) & 1) != 0 ? __fadd_rn(sums[g][k], __fmul_rn(v[k], keep_scale)) : sums[g][k];
      else
        sums[g][k] += v[k];
    }
  }
}

/** Runs `vector` on whole aligned groups of the thread, `element` on each element of the others that lies inside. */
template <class T, class S, class Vector, class Element>
GPU_INLINE void for_groups(const UpArguments<T, S>& arguments, int64_t row, int64_t column, Vector vector, Element element) {
  const int64_t c = column + static_cast<int64_t>(threadIdx.x) % Up::kGroupsPerRow * gpu::kGroup;
#pragma unroll
  for (int g = 0; g < Up::kGroups; g++) {
    const int64_t m = row + static_cast<int64_t>(threadIdx.x) / Up::kGroupsPerRow + g * Up::kRowStep;
    if (m >= arguments.M) continue;
    if (arguments.out_aligned && c + gpu::kGroup <= arguments.N) {
      vector(g, m, c);
    } else {
#pragma unroll
      for (int k = 0; k < gpu::kGroup; k++)
        if (c + k < arguments.N) element(g, k, m, c + k);
    }
  }
}

/** The block's Σ|sum + bias| over rows that the mask keeps, for thread 0. */
template <class T, class S>
GPU_INLINE double sum_magnitudes(const float (&sums)[Up::kGroups][gpu::kGroup], const UpArguments<T, S>& arguments, int64_t row,
                                 int64_t column) {
  GPU_SHARED(double[Up::kWarps], warp_sums);
  const int64_t c = column + static_cast<int64_t>(threadIdx.x) % Up::kGroupsPerRow * gpu::kGroup;
  double sum = 0;
#pragma unroll
  for (int g = 0; g < Up::kGroups; g++) {
    const int64_t m = row + static_cast<int64_t>(threadIdx.x) / Up::kGroupsPerRow + g * Up::kRowStep;
    if (m >= arguments.M || (arguments.row_mask != nullptr && arguments.row_mask[m] == 0)) continue;
#pragma unroll
    for (int k = 0; k < gpu::kGroup; k++)
      if (c + k < arguments.N)
        sum += fabsf(sums[g][k] + (arguments.bias != nullptr ? gpu::to_float(arguments.bias[c + k]) : 0.0f));
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
template <bool kMasked, class T, class S>
GPU_INLINE void up_block(const UpArguments<T, S>& arguments, int64_t block, unsigned char* memory) {
  const int64_t column_blocks = gpu::divide_up(arguments.N, Up::kColumns);
  const int64_t row = block / column_blocks * Up::kRows, column = block % column_blocks * Up::kColumns;
  float* const product = reinterpret_cast<float*>(memory);
  const DropoutMask dropout = read_mask(arguments.dropout);

  float sums[Up::kGroups][gpu::kGroup] = {};
  const UpPlace place;  // addresses of the thread's groups are made once, and moved by a constant
  if (arguments.base != nullptr) {
    const T* const base = arguments.base + (row + place.row) * arguments.ldbase + column + place.column;
    const int64_t step = Up::kRowStep * arguments.ldbase;
    for_groups(
        arguments, row, column, [&](int g, int64_t, int64_t) { gpu::load_group(base + g * step, sums[g]); },
        [&](int g, int k, int64_t, int64_t) { sums[g][k] = gpu::to_float(base[g * step + k]); });
  }

  for (int b = 0; b < arguments.stack.count; b++) {
    const StackedModule& module = arguments.stack.modules[b];
    Accumulator products[Up::kColumnTiles] = {};
    for (int first = 0; first < module.rank; first += Up::kInner) {
      const int inner = static_cast<int>(gpu::least(gpu::round_up(module.rank - first, kTileRanks), Up::kInner));
      T* const p = reinterpret_cast<T*>(memory);
      T* const q = p + Up::kRows * padded<T>(inner);
      __syncthreads();  // what lay there has been read
      load_operands(p, q, arguments, module, first, inner, row, column);
      ptx::cp_async_commit();
      ptx::cp_async_wait<0>();
      __syncthreads();
      if (arguments.rank_major)
        multiply_operands<Inner::kAlongColumn>(products, p, q, inner);
      else
        multiply_operands<Inner::kAlongRow>(products, p, q, inner);
    }
    __syncthreads();  // the product takes the place of the operands
    const int warp_row = static_cast<int>(threadIdx.x) / gpu::kWarp * kProductRows;
#pragma unroll
    for (int t = 0; t < Up::kColumnTiles; t++)
#pragma unroll
      for (int e = 0; e < 8; e += 2) {
        const int column = Up::product_column(t * kTileRanks + accumulator_column(e / 4, e % 4));
        *reinterpret_cast<float2*>(product + (warp_row + accumulator_row(e % 4)) * Up::kProductLd + column) = {
            products[t][e / 4][e % 4], products[t][e / 4][e % 4 + 1]};
      }
    unsigned keep = ~0u;
    if constexpr (kMasked)
      if (dropout.threshold != 0) keep = masks_of_groups(arguments, dropout, module, row, column);
    __syncthreads();
    add_product<kMasked>(sums, product, keep, dropout.keep_scale);
  }

  if (arguments.magnitudes != nullptr) {
    const double sum = sum_magnitudes(sums, arguments, row, column);
    if (threadIdx.x == 0) arguments.magnitudes[block] = sum;
    return;
  }
  if (arguments.bias != nullptr)
    for_groups(
        arguments, row, column,
        [&](int g, int64_t, int64_t c) {
#pragma unroll
          for (int k = 0; k < gpu::kGroup; k++) sums[g][k] += gpu::to_float(arguments.bias[c + k]);
        },
        [&](int g, int k, int64_t, int64_t c) { sums[g][k] += gpu::to_float(arguments.bias[c]); });
  T* const out = arguments.out + (row + place.row) * arguments.ldout + column + place.column;
  const int64_t step = Up::kRowStep * arguments.ldout;
  for_groups(
      arguments, row, column, [&](int g, int64_t, int64_t) { gpu::store_global_group(out + g * step, sums[g]); },
      [&](int g, int k, int64_t, int64_t) { out[g * step + k] = gpu::from_float<T>(sums[g][k]); });
}

// CUDA kernels

/** Calls without dropout have a kernel of their own: what masks need is worked out before a block's modules. */
template <class T, bool kMasked>
__global__ void __launch_bounds__(Up::kThreads, Up::kBlocksOfUp<T>) up(const __grid_constant__ UpArguments<T> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  up_block<kMasked>(arguments, blockIdx.x, memory);
}
}  // namespace prunepeft::cuda
