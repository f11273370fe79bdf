// S = s·D(x) Aᵀ (+ bias) for stacked modules: x [M,K] is read once; each A is [rank,K].
//
// Tiling: a block of 4 warps takes 64 rows, a share of K, and up to 80 stacked ranks. K is walked in tiles of 64 columns, kept
// in a ring that cp.async fills ahead; a warp multiplies its 16 rows by all ranks. Dropout masks, one bit an element and
// module, are drawn a tile ahead, 32 columns of a row by each thread, which also writes them out where the mask is to be kept.
// With more than one share of K the sums go to slots, which finish_rows adds in order; the dropout's scale and s are applied to
// the float32 sum, just before it is rounded.
//
// Where all operands have aligned rows, a thread's addresses are made once and moved from tile to tile (kAligned); else
// load_tile makes them. One module has kernels of its own (S), for one, two and four tiles of ranks others again (kMostTiles).
//
// Limit: the bytes of x over memory bandwidth. A block has room for five tiles of 16 ranks, and each module starts a tile:
// larger stacks read x once for each five tiles (three modules of rank 64: three times).
#pragma once

#include "linear/cuda/activation.cuh"
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
  /** Words of a row's mask, one a thread. */
  static constexpr int kMaskWords = kColumns / (4 * kMaskColumns);
  static_assert(kRows * kMaskWords == kThreads, "each thread draws a word");
  /** Tiles in the ring. float32 has two, for the sake of sm_86's 99 KB. */
  template <class T>
  static constexpr int kStages = sizeof(T) == 2 ? 4 : 2;

  template <class T>
  static constexpr size_t shared_bytes(int tiles, bool dropout) {
    const size_t ring = static_cast<size_t>(kStages<T>) * (kRows + tiles * kTileRanks) * padded<T>(kColumns) * sizeof(T);
    return ring + (dropout ? 2 * sizeof(unsigned) * static_cast<size_t>(tiles) * kRows * kMaskWords : 0);
  }
};
static_assert(Down::shared_bytes<float>(kChunkTiles, true) <= gpu::kMostSharedBytes &&
                  Down::shared_bytes<__half>(kChunkTiles, true) <= gpu::kMostSharedBytes,
              "a block fits every device");

template <class T, class S = Stack>
struct DownArguments {
  Source<T> x;
  S stack;         // a, s, rank, scale, module, kept
  bool a_aligned;  // all of the A's
  DropoutSpec dropout;
  PhiloxKeys keys;  // of the dropout
  const T* bias;    // [columns of the stack], or null
  pp_activation activation;
  T* activated;  // [M, columns of the stack] becomes σ of S, or null
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

/**
 * The warp's rows of a tile of x times the stacked ranks. Where bit t of `starts` is set, x is masked from tile t on by the
 * masks of t.
 */
template <class T, int kMostTiles>
GPU_INLINE void multiply_tile(Accumulator (&sums)[kMostTiles], const T* x, const T* a, const unsigned* masks, unsigned starts,
                              int tiles) {
  constexpr int kLd = padded<T>(Down::kColumns), kTogether = sizeof(T) == 2 ? 2 : 1;  // steps under the same words of a mask
  const int warp_row = static_cast<int>(threadIdx.x) / gpu::kWarp * kProductRows;
#pragma unroll(kTogether)
  for (int inner = 0; inner < Down::kColumns; inner += kTogether * kStep<T>) {
    LeftFragment<T> left[kTogether], kept[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; i++) {
      left[i].template load<Inner::kAlongRow>(x, kLd, warp_row, inner + i * kStep<T>);
      kept[i] = left[i];
    }
#pragma unroll
    for (int t = 0; t < kMostTiles; t++) {
      if (t >= tiles) break;
      if ((starts >> t & 1) != 0) {
        const unsigned* row = masks + (t * Down::kRows + warp_row + lane_index() / 4) * Down::kMaskWords + inner / 32;
        const unsigned words[2] = {row[0], row[8 * Down::kMaskWords]};
#pragma unroll
        for (int i = 0; i < kTogether; i++) kept[i] = mask_rows(left[i], words, (inner + i * kStep<T>) % 32 / kMaskColumns);
      }
#pragma unroll
      for (int i = 0; i < kTogether; i++)
        multiply_add<Inner::kAlongRow>(sums[t], kept[i], a, kLd, t * kTileRanks, inner + i * kStep<T>);
    }
  }
}

/**
 * What one block does: rows from 64 `row_block` on, share `share` of K, the ranks of chunk `chunk`; σ of S only if kActivates.
 */
template <bool kAligned, int kMostTiles, bool kActivates, class T, class S>
GPU_INLINE void down_block(const DownArguments<T, S>& arguments, int64_t row_block, int64_t share, int chunk,
                           unsigned char* memory) {
  constexpr int kStages = Down::kStages<T>, kLd = padded<T>(Down::kColumns);
  const S& stack = arguments.stack;
  constexpr bool kExact = kMostTiles < kChunkTiles;
  const Chunk of_block = chunk_of(stack, chunk);
  const int first_tile = kExact ? 0 : of_block.first, tiles = kExact ? kMostTiles : of_block.count;
  const int64_t M = arguments.x.rows, row = row_block * Down::kRows;
  const int64_t begin = share * arguments.columns_per_share;
  const int64_t end = gpu::least(begin + arguments.columns_per_share, arguments.x.columns);
  const int steps = static_cast<int>(gpu::divide_up(end - begin, Down::kColumns));
  const int thread = static_cast<int>(threadIdx.x);
  const DropoutMask mask = read_mask(arguments.dropout);
  const unsigned starts = mask.threshold != 0 ? module_starts(stack, first_tile, tiles) : 0;  // of modules with a mask to draw

  const int a_offset = Down::kRows * kLd, stage_elements = a_offset + tiles * kTileRanks * kLd;
  T* const ring = reinterpret_cast<T*>(memory);
  unsigned* const masks = reinterpret_cast<unsigned*>(ring + kStages * stage_elements);
  const int mask_words = tiles * Down::kThreads;

  using WideWalk = TileWalk<T, Down::kRows, Down::kColumns, Down::kThreads>;
  using RankWalk = TileWalk<T, kTileRanks, Down::kColumns, Down::kThreads>;
  WideWalk wide = {};
  RankWalk of_ranks[kMostTiles] = {};
  int ranks_there[kMostTiles] = {};
  const int rows_there = static_cast<int>(gpu::least(M - row, Down::kRows));
  const int last_columns = static_cast<int>(end - begin - int64_t{steps - 1} * Down::kColumns);
  if constexpr (kAligned) {
    wide.start(arguments.x.data, arguments.x.ld, row, begin);
#pragma unroll
    for (int t = 0; t < kMostTiles; t++) {
      if (t >= tiles) break;
      const RankTile ranks = rank_tile(stack, first_tile + t);
      const StackedModule& module = stack.modules[ranks.module];
      of_ranks[t].start(static_cast<const T*>(module.a), module.lda, ranks.first, begin);
      ranks_there[t] = ranks.count;
    }
  }

  const auto fetch = [&](int step, int stage) {
    if (step < steps) {
      T* to = ring + stage * stage_elements;
      if constexpr (kAligned) {
        const int columns = step == steps - 1 ? last_columns : Down::kColumns;
        wide.copy(to, kLd, rows_there, WideWalk::bytes(columns), Down::kColumns);
#pragma unroll
        for (int t = 0; t < kMostTiles; t++) {
          if (t >= tiles) break;
          of_ranks[t].copy(to + a_offset + t * kTileRanks * kLd, kLd, ranks_there[t], RankWalk::bytes(columns), Down::kColumns);
        }
      } else {
        const int64_t column = begin + step * Down::kColumns;
        load_tile(to, kLd, Down::kRows, Down::kColumns, arguments.x, row, column, Down::kThreads);
        load_stacked_rows(to + a_offset, arguments, first_tile, tiles, column, arguments.x.columns);
      }
    }
    ptx::cp_async_commit();
  };
  const int64_t mask_row = row + thread / Down::kMaskWords, mask_column = begin + thread % Down::kMaskWords * 4 * kMaskColumns;
  uint64_t group = mask_group(mask_row, mask_column, arguments.x.columns);  // of the thread's next word
  const int64_t kept_strip = kept_rows(M), kept_end = kept_size(M, arguments.x.columns);
  int64_t kept_at = kept_index(mask_row, mask_column, M, arguments.x.columns);  // of that word's first half
  const auto draw = [&](int step) {
    if (step >= steps) return;
#pragma unroll 1
    for (int t = 0; t < S::kMost && starts >> t != 0; t++) {
      if ((starts >> t & 1) == 0) continue;
      const RankTile ranks = rank_tile(stack, first_tile + t);
      const StackedModule& module = stack.modules[ranks.module];
      const unsigned word = MaskGenerator(mask, arguments.keys, module.mask_name).template draw<4>(group);
      masks[step % 2 * mask_words + t * Down::kThreads + thread] = word;
      if (module.kept == nullptr || ranks.first != 0) continue;  // of its chunks the first keeps it
      if (kept_at < kept_end) module.kept[kept_at] = static_cast<uint16_t>(word);
      if (kept_at + kept_strip < kept_end) module.kept[kept_at + kept_strip] = static_cast<uint16_t>(word >> 16);
    }
    group += Down::kColumns / kDropoutGroup;
    kept_at += Down::kColumns / kKeptColumns * kept_strip;
  };

  Accumulator sums[kMostTiles] = {};
  for (int step = 0; step < kStages - 1; step++) fetch(step, step);
  draw(0);
  int stage = 0;
  for (int step = 0; step < steps; step++) {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();  // this step's tiles are there, and the last step's are free
    fetch(step + kStages - 1, stage == 0 ? kStages - 1 : stage - 1);
    draw(step + 1);
    const T* tile = ring + stage * stage_elements;
    multiply_tile(sums, tile, tile + a_offset, masks + step % 2 * mask_words, starts, tiles);
    stage = stage + 1 == kStages ? 0 : stage + 1;
  }

  const int64_t warp_row = row + static_cast<int64_t>(threadIdx.x) / gpu::kWarp * kProductRows;
#pragma unroll
  for (int t = 0; t < kMostTiles; t++) {
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
        const T rounded = gpu::from_float<T>(__fmaf_rn(sum, module.scale, bias));  // in every kernel that has no slots
        static_cast<T*>(module.s)[m * module.lds + ranks.first + rank] = rounded;
        if (kActivates && arguments.activated != nullptr)
          arguments.activated[m * stack.columns + column] = activated(arguments.activation, rounded);
      }
    }
  }
}

// CUDA kernels

template <class T, class S, bool kAligned, int kMostTiles>
__global__ void __launch_bounds__(Down::kThreads, Down::kBlocksPerProcessor)
    down(const __grid_constant__ DownArguments<T, S> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  down_block<kAligned, kMostTiles, true>(arguments, blockIdx.x, blockIdx.y, static_cast<int>(blockIdx.z), memory);
}
}  // namespace prunepeft::cuda
