// Gradients from one read of a wide matrix G [M,N] (dY, x, dout, v): column products Gᵀ P, with P [M,rank] of each stacked
// module, D(G) in place of G under dropout, and on request row products G B, with B [N,rank] of the first module. A module
// without P stands for a column of ones: its product is G's column sums.
//
// Tiling: a block of 8 warps takes 128 columns and a share of the rows, which it walks in tiles of 64 rows (32 in float32),
// double-buffered by cp.async. For column products a warp keeps its 16 columns by up to 80 ranks in registers to the end; for
// row products the warps share the tile's 16-row strips and ranks, and each block leaves the sum over its 128 columns in a
// slot. finish_rows and finish_columns add the slots in order.
//
// Limit: the bytes of G over memory bandwidth, if the slots (4·M·r·N/128 bytes for rows, 4·N·r for each share) stay in L2.
#pragma once

#include "linear/cuda/dropout.cuh"
#include "linear/cuda/finish.cuh"
#include "linear/cuda/product.cuh"
#include "linear/cuda/stack.cuh"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
struct Grad {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / gpu::kWarp;
  static constexpr int kColumns = kWarps * kProductRows;
  /** Given to the compiler, which else spills to reach more. */
  static constexpr int kBlocksPerProcessor = 1;
  static constexpr int kMaskWords = kColumns / kMaskColumns;
  static constexpr int kStages = 2;
  template <class T>
  static constexpr int kRows = sizeof(T) == 2 ? 64 : 32;

  /** `row_tiles`: rank tiles that row products are wanted for. */
  template <class T>
  static constexpr size_t shared_bytes(int tiles, int row_tiles, bool dropout) {
    const size_t g = static_cast<size_t>(kRows<T>) * padded<T>(kColumns);
    const size_t p = static_cast<size_t>(kRows<T>) * padded<T>(tiles * kTileRanks);
    const size_t b = row_tiles > 0 ? static_cast<size_t>(kColumns) * padded<T>(row_tiles * kTileRanks) : 0;
    const size_t masks = dropout ? static_cast<size_t>(kStages) * tiles * kRows<T> * kMaskWords * sizeof(uint16_t) : 0;
    return (kStages * (g + p) + b) * sizeof(T) + masks;
  }
};
static_assert(Grad::shared_bytes<float>(kChunkTiles, kChunkTiles, false) <= gpu::kMostSharedBytes &&
                  Grad::shared_bytes<float>(kChunkTiles, 0, true) <= gpu::kMostSharedBytes &&
                  Grad::shared_bytes<__half>(kChunkTiles, kChunkTiles, true) <= gpu::kMostSharedBytes,
              "a block fits every device");

template <class T, class S = Stack>
struct GradArguments {
  Source<T> g;
  S stack;         // s as P, rank, module; of the first module also a as B [N,rank] where row products are wanted
  bool p_aligned;  // all of the P's
  bool b_aligned;
  pp_activation activation;  // P is σ of what is stored
  DropoutSpec dropout;
  int64_t rows_per_share;
  float* column_slots;  // [shares, stack.columns, N], or null
  float* row_slots;     // [column blocks, M, rank of the first module], or null
};

/** The second stage of column products. */
struct FinishColumnsArguments {
  const float* slots;  // [count, stack.columns, N]
  int count;
  int64_t N;
  Stack stack;  // gradient, rank, scale
  /** gradient is [rank,N] rather than [N,rank]. */
  bool rank_major;
  bool accumulate;
};

/** The end of a column product: scale times the sum of its slots, after `before` if `add`. */
GPU_INLINE float finish_column(float before, bool add, const float* slots, int count, int64_t stride, float scale) {
  const float v = add_slots(slots, count, stride) * scale;
  return add ? before + v : v;
}

/** Fills the stacked P tile: kTileRanks columns for each of the block's tiles. */
template <class T, class S>
GPU_INLINE void load_stacked_columns(T* tile, int ld, const GradArguments<T, S>& arguments, int first_tile, int tiles,
                                     int64_t row, int64_t end) {
  for (int t = 0; t < tiles; t++) {
    const RankTile ranks = rank_tile(arguments.stack, first_tile + t);
    const StackedModule& module = arguments.stack.modules[ranks.module];
    const Source<T> p = {static_cast<const T*>(module.s), module.lds, end, ranks.first + ranks.count, arguments.p_aligned};
    T* to = tile + t * kTileRanks;
    if (p.data == nullptr) {
      for (int i = static_cast<int>(threadIdx.x); i < Grad::kRows<T> * kTileRanks; i += Grad::kThreads)
        to[i / kTileRanks * ld + i % kTileRanks] = gpu::from_float<T>(i % kTileRanks == 0 ? 1.0f : 0.0f);
    } else if (arguments.activation != PP_IDENTITY) {
      load_activated_tile<Grad::kThreads>(to, ld, Grad::kRows<T>, kTileRanks, p, row, ranks.first, arguments.activation);
    } else {
      load_tile(to, ld, Grad::kRows<T>, kTileRanks, p, row, ranks.first, Grad::kThreads);
    }
  }
}

/** sums += (the warp's 16 columns of the tile of G)ᵀ (the tile of P). */
template <class T>
GPU_INLINE void multiply_columns(Accumulator (&sums)[kChunkTiles], const T* g, const T* p, int ldp, const uint16_t* masks,
                                 unsigned starts, int tiles) {
  constexpr int kLd = padded<T>(Grad::kColumns), kMaskTile = Grad::kRows<T> * Grad::kMaskWords;
  const int warp = static_cast<int>(threadIdx.x) / gpu::kWarp;
#pragma unroll 1
  for (int inner = 0; inner < Grad::kRows<T>; inner += kStep<T>) {
    LeftFragment<T> left, kept;
    left.template load<Inner::kAlongColumn>(g, kLd, warp * kProductRows, inner);
    kept = left;
#pragma unroll
    for (int t = 0; t < kChunkTiles; t++) {
      if (t >= tiles) continue;
      if (masks != nullptr && (starts >> t & 1) != 0) {
        const uint16_t* words = masks + t * kMaskTile + inner * Grad::kMaskWords + warp;  // a word is the warp's 16 columns
        kept = left.masked([&](int column, int k) { return (words[k * Grad::kMaskWords] >> column & 1) != 0; });
      }
      multiply_add<Inner::kAlongColumn>(sums[t], kept, p, ldp, t * kTileRanks, inner);
    }
  }
}

/** Row products of one tile of G: each warp takes a strip of 16 rows and every kParts-th rank tile. */
template <class T, class S>
GPU_INLINE void multiply_rows(const GradArguments<T, S>& arguments, const T* g, const T* b, int ldb, int first_tile,
                              int row_tiles, int64_t column_block, int64_t row) {
  constexpr int kLd = padded<T>(Grad::kColumns), kStrips = Grad::kRows<T> / kProductRows, kParts = Grad::kWarps / kStrips;
  static_assert(kStrips * kParts == Grad::kWarps, "strips divide the warps evenly");
  const int warp = static_cast<int>(threadIdx.x) / gpu::kWarp, strip = warp % kStrips * kProductRows;
  const int rank_count = arguments.stack.modules[0].rank;
  for (int t = warp / kStrips; t < row_tiles; t += kParts) {
    Accumulator sum = {};
#pragma unroll 1
    for (int inner = 0; inner < Grad::kColumns; inner += kStep<T>) {
      LeftFragment<T> left;
      left.template load<Inner::kAlongRow>(g, kLd, strip, inner);
      multiply_add<Inner::kAlongColumn>(sum, left, b, ldb, t * kTileRanks, inner);
    }
#pragma unroll
    for (int e = 0; e < 8; e++) {
      const int64_t m = row + strip + accumulator_row(e % 4);
      const int rank = (first_tile + t) * kTileRanks + accumulator_column(e / 4, e % 4);
      if (m < arguments.g.rows && rank < rank_count)
        arguments.row_slots[(column_block * arguments.g.rows + m) * rank_count + rank] = sum[e / 4][e % 4];
    }
  }
}

/** What one block does: columns from 128 `column_block` on, share `share` of the rows, the ranks of chunk `chunk`. */
template <class T, class S>
GPU_INLINE void grad_block(const GradArguments<T, S>& arguments, int64_t column_block, int64_t share, int chunk,
                           unsigned char* memory) {
  constexpr int kRows = Grad::kRows<T>, kLd = padded<T>(Grad::kColumns);
  const S& stack = arguments.stack;
  const int first_tile = chunk * kChunkTiles;
  const int tiles = static_cast<int>(gpu::least(stack.tiles - first_tile, kChunkTiles));
  const int first_left = static_cast<int>(gpu::divide_up(stack.modules[0].rank, kTileRanks)) - first_tile;
  const bool with_rows = arguments.row_slots != nullptr && first_left > 0;
  const int row_tiles = with_rows ? static_cast<int>(gpu::least(first_left, tiles)) : 0;
  const int64_t N = arguments.g.columns, column = column_block * Grad::kColumns;
  const int64_t begin = share * arguments.rows_per_share;
  const int64_t end = gpu::least(begin + arguments.rows_per_share, arguments.g.rows);
  const int steps = static_cast<int>(gpu::divide_up(end - begin, kRows));
  const DropoutMask mask = read_mask(arguments.dropout);
  const bool masked = mask.threshold != 0;
  const unsigned starts = module_starts(stack, first_tile, tiles);
  const int ldp = padded<T>(tiles * kTileRanks), ldb = padded<T>(row_tiles * kTileRanks);

  const int p_offset = kRows * kLd, stage_elements = p_offset + kRows * ldp;
  T* const ring = reinterpret_cast<T*>(memory);
  T* const b = ring + Grad::kStages * stage_elements;
  uint16_t* const masks = reinterpret_cast<uint16_t*>(row_tiles > 0 ? b + Grad::kColumns * ldb : b);
  const int mask_elements = tiles * kRows * Grad::kMaskWords;

  const auto fetch = [&](int step) {
    if (step < steps) {
      T* stage = ring + step % Grad::kStages * stage_elements;
      const int64_t row = begin + step * kRows;
      load_tile(stage, kLd, kRows, Grad::kColumns, arguments.g, row, column, Grad::kThreads);
      load_stacked_columns(stage + p_offset, ldp, arguments, first_tile, tiles, row, arguments.g.rows);
    }
    ptx::cp_async_commit();
  };
  const auto draw = [&](int step) {
    if (masked && step < steps)
      draw_masks<Grad::kThreads, kRows, Grad::kMaskWords>(masks + step % 2 * mask_elements, stack, first_tile, tiles, mask,
                                                          begin + step * kRows, column, N);
  };

  if (row_tiles > 0) {
    const Source<T> source = {static_cast<const T*>(stack.modules[0].a), stack.modules[0].lda, N, stack.modules[0].rank,
                              arguments.b_aligned};
    load_tile(b, ldb, Grad::kColumns, row_tiles * kTileRanks, source, column, first_tile * kTileRanks, Grad::kThreads);
  }
  Accumulator sums[kChunkTiles] = {};
  fetch(0);
  draw(0);
  for (int step = 0; step < steps; step++) {
    ptx::cp_async_wait<0>();
    __syncthreads();  // this step's tiles are there, and the last step's are free
    fetch(step + 1);
    draw(step + 1);
    const T* stage = ring + step % Grad::kStages * stage_elements;
    multiply_columns(sums, stage, stage + p_offset, ldp, masked ? masks + step % 2 * mask_elements : nullptr, starts, tiles);
    if (row_tiles > 0) multiply_rows(arguments, stage, b, ldb, first_tile, row_tiles, column_block, begin + step * kRows);
  }

  const int64_t warp_column = column + static_cast<int64_t>(threadIdx.x) / gpu::kWarp * kProductRows;
#pragma unroll
  for (int t = 0; t < kChunkTiles; t++) {
    if (t >= tiles) continue;
    const RankTile ranks = rank_tile(stack, first_tile + t);
    const int first_column = stack.modules[ranks.module].first_column + ranks.first;
#pragma unroll
    for (int e = 0; e < 8; e++) {
      const int64_t n = warp_column + accumulator_row(e % 4);
      const int rank = accumulator_column(e / 4, e % 4);
      if (n < N && rank < ranks.count)
        arguments.column_slots[(share * stack.columns + first_column + rank) * N + n] = sums[t][e / 4][e % 4];
    }
  }
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(Grad::kThreads, Grad::kBlocksPerProcessor)
    grad(const __grid_constant__ GradArguments<T> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  grad_block(arguments, blockIdx.x, blockIdx.y, static_cast<int>(blockIdx.z), memory);
}
}  // namespace prunepeft::cuda
