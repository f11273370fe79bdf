// Gradients from one read of a wide matrix G [M,N] (dY, x, dout, v): column products Gᵀ P, with P [M,rank] of each stacked
// module, D(G) in place of G under dropout, and on request row products G B, with B [N,rank] of the first module. A module
// without P stands for a column of ones: its product is G's column sums.
//
// Tiling: a block of 8 warps takes 128 columns and a share of the rows, which it walks in tiles of 64 rows (32 in float32),
// kept in a ring that cp.async fills ahead, of as many tiles as fit. For column products a warp keeps its 16 columns by up to
// 80 ranks in registers to the end of the share; for row products (kRows) the warps share the tile's 16-row strips and ranks. A
// block that makes these goes over its rows several times, by 128 columns each, and adds to its own slot from pass to pass, so
// that it leaves one for all its columns; the ring does not run empty between passes. finish_grad adds the slots in order. A
// warp draws the masks of its own columns, two rows a thread; or copies them with the tiles, where the forward pass has kept
// them.
//
// Where all operands have aligned rows, and all P's the same leading dimension, a thread's addresses are made once and moved
// from tile to tile (kAligned); else load_tile makes them. One module has kernels of its own (S), for one, two and four
// tiles of ranks others again (kMostTiles); three take that for four where its larger ring costs nothing (grad_call.cuh).
//
// Limit: the bytes of G over memory bandwidth, if the slots (4·M·r for each block of columns, 4·N·r for each share) stay in L2.
#pragma once

#include "linear/cuda/dropout.cuh"
#include "linear/cuda/finish.cuh"
#include "linear/cuda/product.cuh"
#include "linear/cuda/shares.h"
#include "linear/cuda/stack.cuh"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
struct Grad {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / gpu::kWarp;
  static constexpr int kColumns = kWarps * kProductRows;
  template <class T, bool kRows>
  static constexpr int kBlocksPerProcessor = grad_blocks_per_processor(sizeof(T), kRows);
  template <class T>
  static constexpr int kRows = static_cast<int>(grad_tile_rows(sizeof(T)));
  template <class T>
  static constexpr int kMaskTile = static_cast<int>(grad_mask_words(sizeof(T)));
  template <class T>
  static constexpr int kPassesOfB = grad_passes_of_b(sizeof(T));

  template <class T>
  static constexpr size_t shared_bytes(int stages, int tiles, int row_tiles, bool dropout) {
    return static_cast<size_t>(grad_shared_bytes(sizeof(T), stages, tiles, row_tiles, dropout));
  }
  template <class T>
  static constexpr int stages(int tiles, int row_tiles, bool dropout, size_t most_bytes) {
    return grad_stages(sizeof(T), tiles, row_tiles, dropout, static_cast<int64_t>(most_bytes));
  }
};
static_assert(Grad::shared_bytes<float>(2, kChunkTiles, kChunkTiles, false) <= gpu::kMostSharedBytes &&
                  Grad::shared_bytes<float>(2, kChunkTiles, 0, true) <= gpu::kMostSharedBytes &&
                  Grad::shared_bytes<__half>(2, kChunkTiles, kChunkTiles, false) <= gpu::kMostSharedBytes &&
                  Grad::shared_bytes<__half>(2, kChunkTiles, 0, true) <= gpu::kMostSharedBytes,
              "a block fits every device");

template <class T, class S = Stack>
struct GradArguments {
  Source<T> g;
  S stack;         // s as P, rank, module, kept; of the first module also a as B [N,rank] where row products are wanted
  bool p_aligned;  // all of the P's
  bool b_aligned;
  DropoutSpec dropout;
  PhiloxKeys keys;  // of the dropout
  int64_t rows_per_share;
  int stages;           // of the ring
  int passes;           // over the rows; 1 under dropout
  bool rank_major;      // column_slots' order
  float* column_slots;  // [shares, stack.columns, N] if rank_major, else [shares, N, stack.columns]
  float* row_slots;     // [column blocks, M, rank of the first module]
};

/** The second stage of column products. */
struct FinishColumnsArguments {
  const float* slots;
  int count;
  int64_t N;
  Stack stack;  // gradient, rank, scale
  /** A gradient is [rank,N] and slots are [count, stack.columns, N], rather than [N,rank] and [count, N, stack.columns]. */
  bool rank_major;
  bool accumulate;
};

/** An element of a share's slots: column n of G, column `column` of the stack. */
struct SlotPlace {
  int64_t n;
  int column;
};
GPU_INLINE SlotPlace slot_place(int64_t i, int64_t N, int columns, bool rank_major) {
  return rank_major ? SlotPlace{i % N, static_cast<int>(i / N)} : SlotPlace{i / columns, static_cast<int>(i % columns)};
}

/**
 * The end of a column product: scale times the sum of its slots, after `before` if `add`. Rounded twice in every kernel, which
 * a compiler might otherwise fuse in some.
 */
GPU_INLINE float finish_column(float before, bool add, const float* slots, int count, int64_t stride, float scale) {
  const float v = __fmul_rn(add_slots(slots, count, stride), scale);
  return add ? __fadd_rn(before, v) : v;
}

/** Fills a rank tile of P that stands for a column of ones. */
template <class T>
GPU_INLINE void fill_with_ones(T* tile, int ld) {
  for (int i = static_cast<int>(threadIdx.x); i < Grad::kRows<T> * kTileRanks; i += Grad::kThreads)
    tile[i / kTileRanks * ld + i % kTileRanks] = gpu::from_float<T>(i % kTileRanks == 0 ? 1.0f : 0.0f);
}

/** Fills the stacked P tile: kTileRanks columns for each of the block's tiles. */
template <class T, class S>
GPU_INLINE void load_stacked_columns(T* tile, int ld, const GradArguments<T, S>& arguments, int first_tile, int tiles,
                                     int64_t row, int64_t end) {
  for (int t = 0; t < tiles; t++) {
    const RankTile ranks = rank_tile(arguments.stack, first_tile + t);
    const StackedModule& module = arguments.stack.modules[ranks.module];
    const Source<T> p = {static_cast<const T*>(module.s), module.lds, end, ranks.first + ranks.count, arguments.p_aligned};
    if (p.data == nullptr)
      fill_with_ones(tile + t * kTileRanks, ld);
    else
      load_tile(tile + t * kTileRanks, ld, Grad::kRows<T>, kTileRanks, p, row, ranks.first, Grad::kThreads);
  }
}

/**
 * sums += (the warp's 16 columns of the tile of G)ᵀ (the tile of P). Where bit t of `starts` is set, G is masked from tile t on
 * by the masks of t.
 */
template <class T, int kMostTiles>
GPU_INLINE void multiply_columns(Accumulator (&sums)[kMostTiles], const T* g, const T* p, int ldp, const unsigned* masks,
                                 unsigned starts, int tiles) {
  constexpr int kLd = padded<T>(Grad::kColumns), kRows = Grad::kRows<T>;
  const int warp = static_cast<int>(threadIdx.x) / gpu::kWarp;
#pragma unroll(sizeof(T) == 2 ? 4 : 1)
  for (int inner = 0; inner < kRows; inner += kStep<T>) {
    LeftFragment<T> left, kept;
    left.template load<Inner::kAlongColumn>(g, kLd, warp * kProductRows, inner);
    kept = left;
#pragma unroll
    for (int t = 0; t < kMostTiles; t++) {
      if (t >= tiles) break;
      if ((starts >> t & 1) != 0) kept = mask_columns(left, masks + t * Grad::kMaskTile<T> + warp * kRows / 2, inner);
      multiply_add<Inner::kAlongColumn>(sums[t], kept, p, ldp, t * kTileRanks, inner);
    }
  }
}

/** Two neighbours of partial sums at a time, where `there` of a row are left: one access, if all pairs of the rows allow it. */
struct SlotPairs {
  bool aligned;

  /** `evens`: whatever must be even, in bits. */
  GPU_INLINE SlotPairs(const float* slots, int evens)
      : aligned(evens % 2 == 0 && reinterpret_cast<uintptr_t>(slots) % alignof(float2) == 0) {}

  GPU_INLINE void load(float (&pair)[2], const float* from, int there) const {
    if (aligned) {
      copy(pair, from);
    } else {
      pair[0] = from[0];
      if (there > 1) pair[1] = from[1];
    }
  }
  GPU_INLINE void store(float* to, float first, float second, int there) const {
    if (aligned) {
      alignas(float2) const float pair[2] = {first, second};
      copy(to, pair);
    } else {
      to[0] = first;
      if (there > 1) to[1] = second;
    }
  }

 private:
  GPU_INLINE static void copy(float* to, const float* from) {
    *reinterpret_cast<float2*>(to) = *reinterpret_cast<const float2*>(from);
  }
};

/**
 * Row products of one tile of G, added to the block's slot if `adds`: each warp takes a strip of 16 rows and every kParts-th
 * rank tile.
 */
template <class T, class S>
GPU_INLINE void multiply_rows(const GradArguments<T, S>& arguments, const T* g, const T* b, int ldb, int first_tile,
                              int row_tiles, int64_t column_block, int64_t row, bool adds) {
  constexpr int kLd = padded<T>(Grad::kColumns), kStrips = Grad::kRows<T> / kProductRows, kParts = Grad::kWarps / kStrips;
  static_assert(kStrips * kParts == Grad::kWarps, "strips divide the warps evenly");
  const int warp = static_cast<int>(threadIdx.x) / gpu::kWarp, strip = warp % kStrips * kProductRows;
  const int rank_count = arguments.stack.modules[0].rank;
  const int rows_left = static_cast<int>(gpu::least(arguments.g.rows - row, Grad::kRows<T>)) - strip;
  const SlotPairs pairs(arguments.row_slots, rank_count);
  for (int t = warp / kStrips; t < row_tiles; t += kParts) {
    const int first_rank = (first_tile + t) * kTileRanks;
    float* const slot = arguments.row_slots + (column_block * arguments.g.rows + row + strip) * rank_count + first_rank;
    const auto for_pairs = [&](auto run) {
#pragma unroll
      for (int e = 0; e < 8; e += 2) {
        const int m = accumulator_row(e % 4), rank = accumulator_column(e / 4, e % 4);
        const int there = m < rows_left ? rank_count - first_rank - rank : 0;
        if (there > 0) run(e, slot + m * rank_count + rank, there);
      }
    };
    alignas(float2) float before[4][2] = {};
    if (adds) for_pairs([&](int e, const float* from, int there) { pairs.load(before[e / 2], from, there); });
    Accumulator sum = {};
#pragma unroll(sizeof(T) == 2 ? 4 : 1)
    for (int inner = 0; inner < Grad::kColumns; inner += kStep<T>) {
      LeftFragment<T> left;
      left.template load<Inner::kAlongRow>(g, kLd, strip, inner);
      multiply_add<Inner::kAlongColumn>(sum, left, b, ldb, t * kTileRanks, inner);
    }
    for_pairs([&](int e, float* to, int there) {
      pairs.store(to, before[e / 2][0] + sum[e / 4][e % 4], before[e / 2][1] + sum[e / 4][e % 4 + 1], there);
    });
  }
}

/** Leaves a warp's column products, of the columns from `column` on, in the share's slots. */
template <class T, class S, int kMostTiles>
GPU_INLINE void store_columns(const GradArguments<T, S>& arguments, const Accumulator (&sums)[kMostTiles], int64_t share,
                              int64_t column, int first_tile, int tiles) {
  const int64_t N = arguments.g.columns;
  const int columns = arguments.stack.columns;
  float* const slots = arguments.column_slots + share * columns * N;
#pragma unroll
  for (int t = 0; t < kMostTiles; t++) {
    if (t >= tiles) continue;
    const RankTile ranks = rank_tile(arguments.stack, first_tile + t);
    const int first = arguments.stack.modules[ranks.module].first_column + ranks.first;
    if (arguments.rank_major) {
#pragma unroll
      for (int e = 0; e < 8; e++) {
        const int64_t n = column + accumulator_row(e % 4);
        const int rank = accumulator_column(e / 4, e % 4);
        if (n < N && rank < ranks.count) slots[(first + rank) * N + n] = sums[t][e / 4][e % 4];
      }
    } else {
      const SlotPairs pairs(slots, columns | first | ranks.count);
#pragma unroll
      for (int e = 0; e < 8; e += 2) {
        const int64_t n = column + accumulator_row(e % 4);
        const int rank = accumulator_column(e / 4, e % 4);
        if (n < N && rank < ranks.count)
          pairs.store(slots + n * columns + first + rank, sums[t][e / 4][e % 4], sums[t][e / 4][e % 4 + 1], ranks.count - rank);
      }
    }
  }
}

/**
 * What one block does: its passes of 128 columns from those of `column_block` on, share `share` of the rows, the ranks of chunk
 * `chunk`.
 */
template <bool kAligned, int kMostTiles, bool kRows, class T, class S>
GPU_INLINE void grad_block(const GradArguments<T, S>& arguments, int64_t column_block, int64_t share, int chunk,
                           unsigned char* memory) {
  constexpr int kTileRows = Grad::kRows<T>, kLd = padded<T>(Grad::kColumns);
  const S& stack = arguments.stack;
  constexpr bool kExact = kMostTiles < kChunkTiles;
  const Chunk of_block = chunk_of(stack, chunk);
  const int first_tile = kExact ? 0 : of_block.first, tiles = kExact ? kMostTiles : of_block.count;
  const int first_left = static_cast<int>(gpu::divide_up(stack.modules[0].rank, kTileRanks)) - first_tile;
  const int row_tiles = kRows && first_left > 0 ? static_cast<int>(gpu::least(first_left, tiles)) : 0;
  const int64_t N = arguments.g.columns, first_column = column_block * arguments.passes * Grad::kColumns;
  const int64_t begin = share * arguments.rows_per_share;
  const int64_t end = gpu::least(begin + arguments.rows_per_share, arguments.g.rows);
  const int steps = static_cast<int>(gpu::divide_up(end - begin, kTileRows));  // of a pass
  const int passes =
      kRows ? static_cast<int>(gpu::least(arguments.passes, gpu::divide_up(N - first_column, Grad::kColumns))) : 1;
  const DropoutMask mask = read_mask(arguments.dropout);
  // Of modules with a mask to draw; a G whose row products are wanted has none.
  const unsigned starts = !kRows && mask.threshold != 0 ? module_starts(stack, first_tile, tiles) : 0;
  const int ldp = padded<T>(tiles * kTileRanks), ldb = padded<T>(Grad::kPassesOfB<T> * row_tiles * kTileRanks);

  const int thread = static_cast<int>(threadIdx.x), warp = thread / gpu::kWarp, lane = thread % gpu::kWarp;

  // No more tiles ahead than a pass has: the B of the pass after the next would take the place of this one's.
  const int stages = kRows ? static_cast<int>(gpu::least(arguments.stages, steps + 1)) : arguments.stages;
  const int p_offset = kTileRows * kLd, stage_elements = p_offset + kTileRows * ldp;
  T* const ring = reinterpret_cast<T*>(memory);
  T* const b = ring + stages * stage_elements;
  unsigned* const masks = reinterpret_cast<unsigned*>(b);  // which are not there both
  const int mask_words = tiles * Grad::kMaskTile<T>;

  using WideWalk = TileWalk<T, kTileRows, Grad::kColumns, Grad::kThreads>;
  using NarrowWalk = TileWalk<T, kTileRows, kTileRanks, Grad::kThreads>;
  WideWalk wide = {};
  NarrowWalk narrow[kMostTiles] = {};
  const auto bytes_at = [&](int64_t column) {
    return WideWalk::bytes(static_cast<int>(gpu::least(N - column, Grad::kColumns)));
  };
  int wide_bytes = bytes_at(first_column), narrow_bytes[kMostTiles] = {};
  const int64_t ld_narrow = stack.modules[0].lds;  // kAligned: of all that are read
  unsigned ones = 0;                               // bit t: tile t stands for a column of ones, which needs no copies
  if constexpr (kAligned) {
    wide.start(arguments.g.data, arguments.g.ld, begin, first_column);
#pragma unroll
    for (int t = 0; t < kMostTiles; t++) {
      if (t >= tiles) break;
      const RankTile ranks = rank_tile(stack, first_tile + t);
      const StackedModule& module = stack.modules[ranks.module];
      if (module.s == nullptr) {
        ones |= 1u << t;
        for (int stage = 0; stage < stages; stage++)
          fill_with_ones(ring + stage * stage_elements + p_offset + t * kTileRanks, ldp);
      } else {
        narrow[t].start(static_cast<const T*>(module.s), ld_narrow, begin, ranks.first);
        narrow_bytes[t] = NarrowWalk::bytes(ranks.count);
      }
    }
  }

  const int64_t kept_strip = kept_rows(arguments.g.rows), kept_first = (first_column / kKeptColumns + warp) * kept_strip;
  const bool kept_there = kept_first < kept_size(arguments.g.rows, N);
  const auto copy_kept = [&](int step, int stage) {
    constexpr int kVectorRows = gpu::kVectorBytes / static_cast<int>(sizeof(uint16_t));
    const int64_t row = begin + step * kTileRows + lane * kVectorRows;
    const bool there = kept_there && row < kept_strip;
#pragma unroll 1
    for (int t = 0; t < S::kMost && starts >> t != 0; t++) {
      if ((starts >> t & 1) == 0 || lane >= kTileRows / kVectorRows) continue;
      const uint16_t* const kept = stack.modules[rank_tile(stack, first_tile + t).module].kept;
      if (kept == nullptr) continue;
      unsigned* const to = masks + stage * mask_words + t * Grad::kMaskTile<T> + (warp * kTileRows + lane * kVectorRows) / 2;
      ptx::cp_async16(to, there ? kept + kept_first + row : kept, there ? gpu::kVectorBytes : 0);
    }
  };
  const auto load_b = [&](int pass) {
    const Source<T> source = {static_cast<const T*>(stack.modules[0].a), stack.modules[0].lda, N, stack.modules[0].rank,
                              arguments.b_aligned};
    load_tile(b + pass % Grad::kPassesOfB<T> * row_tiles * kTileRanks, ldb, Grad::kColumns, row_tiles * kTileRanks, source,
              first_column + pass * Grad::kColumns, first_tile * kTileRanks, Grad::kThreads);
  };
  int fetched = 0, fetched_pass = 0;  // the step and pass that is fetched next
  const auto fetch = [&](int stage) {
    if (fetched_pass < passes) {
      T* to = ring + stage * stage_elements;
      const int64_t row = begin + fetched * kTileRows;
      if (kRows && row_tiles > 0 && fetched == 0) load_b(fetched_pass);
      if constexpr (kAligned) {
        const int rows = static_cast<int>(gpu::least(arguments.g.rows - row, kTileRows));
        wide.copy(to, kLd, rows, wide_bytes, kTileRows * arguments.g.ld);
        if (NarrowWalk::takes_part()) {
#pragma unroll
          for (int t = 0; t < kMostTiles; t++) {
            if (t >= tiles) break;
            if ((ones >> t & 1) == 0)
              narrow[t].copy(to + p_offset + t * kTileRanks, ldp, rows, narrow_bytes[t], kTileRows * ld_narrow);
          }
        }
      } else {
        load_tile(to, kLd, kTileRows, Grad::kColumns, arguments.g, row, first_column + fetched_pass * Grad::kColumns,
                  Grad::kThreads);
        load_stacked_columns(to + p_offset, ldp, arguments, first_tile, tiles, row, arguments.g.rows);
      }
      copy_kept(fetched, stage);
      if (++fetched == steps) {
        fetched = 0;
        fetched_pass++;
        if constexpr (kAligned && kRows) {
          wide.from += Grad::kColumns - steps * kTileRows * arguments.g.ld;
          wide_bytes = bytes_at(first_column + fetched_pass * Grad::kColumns);
#pragma unroll
          for (int t = 0; t < kMostTiles; t++)
            if (NarrowWalk::takes_part() && t < tiles && (ones >> t & 1) == 0) narrow[t].from -= steps * kTileRows * ld_narrow;
        }
      }
    }
    ptx::cp_async_commit();
  };
  const int64_t groups = dropout_groups(N);
  uint64_t group = mask_group(begin + 2 * lane, first_column + warp * kProductRows, N);  // the first of the thread's next word
  const auto draw = [&](int step, int stage) {
    if (step >= steps) return;
#pragma unroll 1
    for (int t = 0; t < S::kMost && starts >> t != 0; t++) {
      if ((starts >> t & 1) == 0 || lane >= kTileRows / 2) continue;
      const StackedModule& module = stack.modules[rank_tile(stack, first_tile + t).module];
      if (module.kept != nullptr) continue;
      const MaskGenerator generator(mask, arguments.keys, module.mask_name);
      const uint64_t below = group + static_cast<uint64_t>(groups);
      unsigned word = 0;
      generator.append(word, below + 1);
      generator.append(word, below);
      generator.append(word, group + 1);
      generator.append(word, group);
      masks[stage * mask_words + t * Grad::kMaskTile<T> + warp * kTileRows / 2 + pair_place(lane)] = word;
    }
    group += static_cast<uint64_t>(kTileRows * groups);
  };

  for (int stage = 0; stage < stages - 1; stage++) fetch(stage);
  draw(0, 0);
  int stage = 0;
  for (int pass = 0; pass < passes; pass++) {
    const int64_t column = first_column + pass * Grad::kColumns;
    Accumulator sums[kMostTiles] = {};
    for (int step = 0; step < steps; step++) {
      if (kRows && stages == 4)
        ptx::cp_async_wait<2>();
      else if (stages == 3)
        ptx::cp_async_wait<1>();
      else
        ptx::cp_async_wait<0>();
      __syncthreads();  // this step's tiles are there, and the last step's are free
      const int next = stage + 1 == stages ? 0 : stage + 1;
      fetch(stage == 0 ? stages - 1 : stage - 1);
      draw(step + 1, next);
      const T* tile = ring + stage * stage_elements;
      multiply_columns(sums, tile, tile + p_offset, ldp, masks + stage * mask_words, starts, tiles);
      if (kRows && row_tiles > 0)
        multiply_rows(arguments, tile, b + pass % Grad::kPassesOfB<T> * row_tiles * kTileRanks, ldb, first_tile, row_tiles,
                      column_block, begin + step * kTileRows, pass > 0);
      stage = next;
    }
    store_columns(arguments, sums, share, column + warp * kProductRows, first_tile, tiles);
  }
}

// CUDA kernels

template <class T, class S, bool kAligned, int kMostTiles, bool kRows>
__global__ void __launch_bounds__(Grad::kThreads, Grad::kBlocksPerProcessor<T, kRows>)
    grad(const __grid_constant__ GradArguments<T, S> arguments) {
  GPU_DYNAMIC_SHARED(memory);
  grad_block<kAligned, kMostTiles, kRows>(arguments, blockIdx.x, blockIdx.y, static_cast<int>(blockIdx.z), memory);
}
}  // namespace prunepeft::cuda
