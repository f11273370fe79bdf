// S = s·D(x) Aᵀ (+ bias) for stacked modules: x [M,K] is read once; each A is [rank,K].
//
// Tiling: a block of 4 warps takes 64 rows, a share of K, and up to 80 stacked ranks. K is walked in tiles of 64 columns, kept
// in a ring that cp.async fills ahead; a warp multiplies its 16 rows by all ranks. Dropout masks, one bit an element and
// module, are drawn a tile ahead. With more than one share of K the sums go to slots, which finish_rows adds in order; the
// dropout's scale and s are applied to the float32 sum, just before it is rounded.
//
// Limit: the bytes of x over memory bandwidth. A block has room for five tiles of 16 ranks, and each module starts a tile:
// larger stacks read x once for each five tiles (three modules of rank 64: three times).
#pragma once

#include "linear/cuda/dropout.cuh"
#include "linear/cuda/product.cuh"
#include "linear/cuda/stack.cuh"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
struct Down {
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / gpu::kWarp;
  static constexpr int kRows = kWarps * kProductRows;
  static constexpr int kColumns = 64;
  /** Given to the compiler, which else spills to reach more. */
  static constexpr int kBlocksPerProcessor = 4;
  static constexpr int kMaskWords = kColumns / kMaskColumns;
  /** Tiles in the ring. float32 has two, for the sake of sm_86's 99 KB. */
  template <class T>
  static constexpr int kStages = sizeof(T) == 2 ? 4 : 2;

  template <class T>
  static constexpr size_t shared_bytes(int tiles, bool dropout) {
    const size_t ring = static_cast<size_t>(kStages<T>) * (kRows + tiles * kTileRanks) * padded<T>(kColumns) * sizeof(T);
    return ring + (dropout ? 2 * sizeof(uint16_t) * static_cast<size_t>(tiles) * kRows * kMaskWords : 0);
  }
};
static_assert(Down::shared_bytes<float>(kChunkTiles, true) <= gpu::kMostSharedBytes &&
                  Down::shared_bytes<__half>(kChunkTiles, true) <= gpu::kMostSharedBytes,
              "a block fits every device");

template <class T, class S = Stack>
struct DownArguments {
  Source<T> x;
  S stack;         // a, s, rank, scale, module
  bool a_aligned;  // all of the A's
  DropoutSpec dropout;
  const T* bias;  // [columns of the stack], or null
  int64_t columns_per_share;
  float* slots;  // [shares, M, stack.columns]; null: one share, S is written
};

/** Fills the stacked A tile: kTileRanks rows for each of the block's tiles. */
template <class T, class S>
GPU_INLINE void load_stacked_rows(T* tile, const DownArguments<T, S>& arguments, int first_tile, int tiles, int64_t column,
                                  int64_t end) {
  constexpr int kLd = padded<T>(Down::kColumns);
  for (int t = 0; t < tiles; t++) {
    const RankTile ranks = rank_tile(arguments.stack, first_tile + t);
    const StackedModule& module = arguments.stack.modules[ranks.module];
    const Source<T> a = {static_cast<const T*>(module.a), module.lda, ranks.first + ranks.count, end, arguments.a_aligned};
    load_tile(tile + t * kTileRanks * kLd, kLd, kTileRanks, Down::kColumns, a, ranks.first, column, Down::kThreads);
  }
}

/** The warp's rows of a tile of x times the stacked ranks. */
template <class T>
GPU_INLINE void multiply_tile(Accumulator (&sums)[kChunkTiles], const T* x, const T* a, const uint16_t* masks, unsigned starts,
                              int tiles) {
  constexpr int kLd = padded<T>(Down::kColumns), kMaskTile = Down::kRows * Down::kMaskWords;
  const int warp_row = static_cast<int>(threadIdx.x) / gpu::kWarp * kProductRows;
  for (int inner = 0; inner < Down::kColumns; inner += kStep<T>) {
    LeftFragment<T> left, kept;
    left.template load<Inner::kAlongRow>(x, kLd, warp_row, inner);
    kept = left;
#pragma unroll
    for (int t = 0; t < kChunkTiles; t++) {
      if (t >= tiles) continue;
      if (masks != nullptr && (starts >> t & 1) != 0) {
        const uint16_t* words = masks + t * kMaskTile + inner / kMaskColumns;
        kept = left.masked([&](int row, int k) {
          return (words[(warp_row + row) * Down::kMaskWords] >> (inner % kMaskColumns + k) & 1) != 0;
        });
      }
      multiply_add<Inner::kAlongRow>(sums[t], kept, a, kLd, t * kTileRanks, inner);
    }
  }
}

/** What one block does: rows from 64 `row_block` on, share `share` of K, the ranks of chunk `chunk`. */
template <class T, class S>
GPU_INLINE void down_block(const DownArguments<T, S>& arguments, int64_t row_block, int64_t share, int chunk,
                           unsigned char* memory) {
  constexpr int kStages = Down::kStages<T>, kLd = padded<T>(Down::kColumns);
  const S& stack = arguments.stack;
  const int first_tile = chunk * kChunkTiles;
  const int tiles = static_cast<int>(gpu::least(stack.tiles - first_tile, kChunkTiles));
  const int64_t M = arguments.x.rows, row = row_block * Down::kRows;
  const int64_t begin = share * arguments.columns_per_share;
  const int64_t end = gpu::least(begin + arguments.columns_per_share, arguments.x.columns);
  const int steps = static_cast<int>(gpu::divide_up(end - begin, Down::kColumns));
  const DropoutMask mask = read_mask(arguments.dropout);
  const bool masked = mask.threshold != 0;
  const unsigned starts = module_starts(stack, first_tile, tiles);

  const int a_offset = Down::kRows * kLd, stage_elements = a_offset + tiles * kTileRanks * kLd;
  T* const ring = reinterpret_cast<T*>(memory);
  uint16_t* const masks = reinterpret_cast<uint16_t*>(ring + kStages * stage_elements);
  const int mask_elements = tiles * Down::kRows * Down::kMaskWords;

  const auto fetch = [&](int step) {
    if (step < steps) {
      T* stage = ring + step % kStages * stage_elements;
      load_tile(stage, kLd, Down::kRows, Down::kColumns, arguments.x, row, begin + step * Down::kColumns, Down::kThreads);
      load_stacked_rows(stage + a_offset, arguments, first_tile, tiles, begin + step * Down::kColumns, arguments.x.columns);
    }
    ptx::cp_async_commit();
  };
  const auto draw = [&](int step) {
    if (masked && step < steps)
      draw_masks<Down::kThreads, Down::kRows, Down::kMaskWords>(masks + step % 2 * mask_elements, stack, first_tile, tiles,
                                                                mask, row, begin + step * Down::kColumns, arguments.x.columns);
  };

  Accumulator sums[kChunkTiles] = {};
  for (int step = 0; step < kStages - 1; step++) fetch(step);
  draw(0);
  for (int step = 0; step < steps; step++) {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();  // this step's tiles are there, and the last step's are free
    fetch(step + kStages - 1);
    draw(step + 1);
    const T* stage = ring + step % kStages * stage_elements;
    multiply_tile(sums, stage, stage + a_offset, masked ? masks + step % 2 * mask_elements : nullptr, starts, tiles);
  }

  const int64_t warp_row = row + static_cast<int64_t>(threadIdx.x) / gpu::kWarp * kProductRows;
#pragma unroll
  for (int t = 0; t < kChunkTiles; t++) {
    if (t >= tiles) continue;
    const RankTile ranks = rank_tile(stack, first_tile + t);
    const StackedModule& module = stack.modules[ranks.module];
#pragma unroll
    for (int e = 0; e < 8; e++) {
      const int64_t m = warp_row + accumulator_row(e % 4);
      const int rank = accumulator_column(e / 4, e % 4);
      if (m >= M || rank >= ranks.count) continue;
      const int column = module.first_column + ranks.first + rank;
      const float sum = sums[t][e / 4][e % 4];
      if (arguments.slots != nullptr) {
        arguments.slots[(share * M + m) * stack.columns + column] = sum;
      } else {
        const float bias = arguments.bias != nullptr ? gpu::to_float(arguments.bias[column]) : 0.0f;
        static_cast<T*>(module.s)[m * module.lds + ranks.first + rank] = gpu::from_float<T>(sum * module.scale + bias);
      }
    }
  }
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(Down::kThreads, Down::kBlocksPerProcessor)
    down(const __grid_constant__ DownArguments<T> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  down_block(arguments, blockIdx.x, blockIdx.y, static_cast<int>(blockIdx.z), memory);
}
}  // namespace prunepeft::cuda
