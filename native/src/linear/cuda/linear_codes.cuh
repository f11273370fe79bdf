// The fused linear on codes of a quantised W, for few rows: tiles of linear.cuh whose steps with W bring its codes.
//
// A step's codes come by cp.async beside the left operand, some steps ahead of use, in a ring that is deep because they are
// small. While a step is multiplied, the codes of the next become elements in one of two tiles in shared memory: a thread has
// 16 neighbours of a row, which have one scale. Elements are those that decode.cu writes, and are multiplied as such, so that
// results have the bits of a W decoded before. The ranks of the modules come after, in linear.cuh's ring.
//
// Limit: the codes' bytes over bandwidth, as long as a block's 2048 elements a step are decoded in the time in which they come.
#pragma once

#include "linear/cuda/linear_codes.h"

namespace prunepeft::cuda {
/** Elements of a row that a thread decodes in a step: 16 bytes of int8, 8 of NF4. */
constexpr int kCodeUnit = 16;

/** The ring of steps with W; what a stage has of codes is behind its left tile. */
template <class T, class Tile, Inner kRight>
struct CodeRing {
  using Dense = LinearRing<T, Tile, kRight>;
  static constexpr int kStages = 8;
  /** Of W, in a step. */
  static constexpr int kRows = Dense::kRightRows;
  static constexpr int kColumns = kRight == Inner::kAlongRow ? Dense::kInner : Tile::kColumns;
  static constexpr int kUnitsOfRow = kColumns / kCodeUnit;
  static constexpr int kLeftBytes = Dense::kLeft * static_cast<int>(sizeof(T));
  static constexpr int kStageBytes = kLeftBytes + kRows * kColumns;
  static constexpr int kDecoded = kRows * Dense::kRightLd;
  static constexpr size_t kBytes = static_cast<size_t>(kStages) * kStageBytes + 2 * kDecoded * sizeof(T);
  static_assert(kRows * kUnitsOfRow == Tile::kThreads, "each thread has a unit of a step");
  static_assert(kUnitsOfRow % 2 == 0, "16 bytes of NF4, two units, lie in a row");
  static_assert(kLeftBytes % gpu::kVectorBytes == 0 && kStageBytes % gpu::kVectorBytes == 0,
                "codes are copied 16 bytes at a time");
  static_assert(kBytes <= gpu::kMostSharedBytes, "a block fits every device");
};

/** A unit of a step's codes: its place in W. */
struct CodePlace {
  int64_t row, column;

  GPU_INLINE bool is_in(const CodeSource& source) const { return row < source.rows && column < source.columns; }
  GPU_INLINE int64_t element(const CodeSource& source) const { return row * source.columns + column; }
};

/** Of the result's tile from column `column` on, in the step from `inner` on. */
template <class Ring, Inner kRight>
GPU_INLINE CodePlace code_place(int unit, int64_t inner, int64_t column) {
  const int row = unit / Ring::kUnitsOfRow, at = unit % Ring::kUnitsOfRow * kCodeUnit;
  if (kRight == Inner::kAlongRow) return {column + row, inner + at};
  return {inner + row, column + at};
}

/** Begins to copy a step's codes, unit by unit. */
template <class Ring, Inner kRight>
GPU_INLINE void load_codes(unsigned char* to, const CodeSource& source, int64_t inner, int64_t column) {
  const bool bytes = source.decoding.type == PP_INT8;
  const int thread = static_cast<int>(threadIdx.x), unit = bytes ? thread : 2 * thread;
  if (unit >= Ring::kRows * Ring::kUnitsOfRow) return;
  const CodePlace place = code_place<Ring, kRight>(unit, inner, column);
  const bool in = place.is_in(source);
  const int64_t first = in ? place.element(source) : 0;
  ptx::cp_async16(to + thread * gpu::kVectorBytes, source.codes + (bytes ? first : first / 2), in ? gpu::kVectorBytes : 0);
}

/** A unit's scale, of a unit that is in W. */
GPU_INLINE float code_scale(const CodeSource& source, const CodePlace& place) {
  const Decoding& decoding = source.decoding;
  return decoding.scales[decoding.type == PP_INT8 ? place.row : place.element(source) >> decoding.block_shift];
}

/** Decodes this thread's unit of a step. */
template <class T>
GPU_INLINE void decode_unit(T* to, const unsigned char* codes, bool bytes, const float* table, float scale) {
  const int thread = static_cast<int>(threadIdx.x);
  float v[2][gpu::kGroup];
  if (bytes) {
    const uint4 all = *reinterpret_cast<const uint4*>(codes + thread * 16);
    const unsigned words[] = {all.x, all.y, all.z, all.w};
#pragma unroll
    for (int i = 0; i < kCodeUnit; i++)
      v[i / 8][i % 8] = static_cast<float>(static_cast<int8_t>(words[i / 4] >> 8 * (i % 4) & 255u)) * scale;
  } else {
    const ElementPair<unsigned> all = *reinterpret_cast<const ElementPair<unsigned>*>(codes + thread * 8);
    const unsigned words[] = {all.first, all.second};
#pragma unroll
    for (int i = 0; i < kCodeUnit; i++) {
      const int k = i % 8;  // the first of a byte's two is in its high half
      v[i / 8][k] = table[words[i / 8] >> (k % 2 == 0 ? 4 * k + 4 : 4 * k - 4) & 15u] * scale;
    }
  }
  gpu::store_group(to, v[0]);
  gpu::store_group(to + gpu::kGroup, v[1]);
}

/** sums += the left operand times W. */
template <class T, class Tile, Inner kRight>
GPU_INLINE void multiply_codes(LinearSums<Tile>& sums, const LinearArguments<T>& arguments, const CodeSource& source,
                               int64_t row, int64_t column, unsigned char* memory) {
  using Ring = CodeRing<T, Tile, kRight>;
  using Dense = typename Ring::Dense;
  // Lanes ask for different values, which lie in different banks.
  GPU_SHARED(float[kCodes], table);
  if (threadIdx.x < kCodes) table[threadIdx.x] = source.decoding.table[threadIdx.x];
  const bool bytes = source.decoding.type == PP_INT8;
  const int own = static_cast<int>(threadIdx.x);
  T* const decoded = reinterpret_cast<T*>(memory + Ring::kStages * Ring::kStageBytes) +
                     own / Ring::kUnitsOfRow * Dense::kRightLd + own % Ring::kUnitsOfRow * kCodeUnit;
  const T* const tiles = reinterpret_cast<const T*>(memory + Ring::kStages * Ring::kStageBytes);
  const int64_t length = arguments.left.columns, steps = gpu::divide_up(length, Dense::kInner);
  const auto stage_of = [&](int64_t step) { return memory + static_cast<int>(step % Ring::kStages) * Ring::kStageBytes; };
  const auto place_of = [&](int64_t step) { return code_place<Ring, kRight>(own, step * Dense::kInner, column); };
  const auto fetch = [&](int64_t step) {
    if (step < steps) {
      unsigned char* const stage = stage_of(step);
      load_tile(reinterpret_cast<T*>(stage), Dense::kLeftLd, Tile::kRows, Dense::kInner, arguments.left, row,
                step * Dense::kInner, Tile::kThreads);
      load_codes<Ring, kRight>(stage + Ring::kLeftBytes, source, step * Dense::kInner, column);
    }
    ptx::cp_async_commit();
  };
  // A scale is read a step before it is needed; what lies outside of W is zero.
  const auto scale_of = [&](int64_t step) {
    const CodePlace place = place_of(step);
    return step < steps && place.is_in(source) ? code_scale(source, place) : 0.0f;
  };
  const auto decode = [&](int64_t step, float scale) {
    T* const to = decoded + step % 2 * Ring::kDecoded;
    if (place_of(step).is_in(source)) return decode_unit(to, stage_of(step) + Ring::kLeftBytes, bytes, table, scale);
    const float zeros[gpu::kGroup] = {};
    gpu::store_group(to, zeros);
    gpu::store_group(to + gpu::kGroup, zeros);
  };

  float scale = scale_of(0);
  for (int64_t step = 0; step < Ring::kStages - 1; step++) fetch(step);
  ptx::cp_async_wait<Ring::kStages - 2>();
  __syncthreads();
  decode(0, scale);
  scale = scale_of(1);
  for (int64_t step = 0; step < steps; step++) {
    ptx::cp_async_wait<Ring::kStages - 3>();
    __syncthreads();  // this step is decoded, the next one's codes are there, and the last one's tiles are free
    fetch(step + Ring::kStages - 1);
    if (step + 1 < steps) {
      decode(step + 1, scale);
      scale = scale_of(step + 2);
    }
    const int inner = static_cast<int>(gpu::least(length - step * Dense::kInner, Dense::kInner));
    multiply_step<T, Tile, kRight>(sums, reinterpret_cast<const T*>(stage_of(step)), tiles + step % 2 * Ring::kDecoded, inner);
  }
}

/** Begins a tile: the product with W, of its codes. */
template <class T, class Tile, Inner kRight>
struct StepsOfCodes {
  const LinearArguments<T>& arguments;
  const CodeSource& source;

  GPU_INLINE LinearStep operator()(LinearSums<Tile>& sums, int64_t row, int64_t column, T* ring) const {
    multiply_codes<T, Tile, kRight>(sums, arguments, source, row, column, reinterpret_cast<unsigned char*>(ring));
    ptx::cp_async_wait<0>();
    __syncthreads();  // the ring of the ranks takes the place of this one
    LinearStep step = {-1, 0};
    advance(step, arguments, arguments.left.columns, column, Tile::kColumns);
    return step;
  }
};

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(SmallTile<T>::kThreads, SmallTile<T>::kBlocksPerProcessor)
    linear_forward_codes_kernel(const __grid_constant__ LinearForwardArguments<T> arguments,
                                const __grid_constant__ CodeSource source) {
  using Tile = SmallTile<T>;
  GPU_DYNAMIC_SHARED(memory);
  linear_forward_block<T, Tile>(arguments, memory, StepsOfCodes<T, Tile, Inner::kAlongRow>{arguments.product, source});
}

template <class T, bool kMasked>
__global__ void __launch_bounds__(SmallTile<T>::kThreads, SmallTile<T>::kBlocksPerProcessor)
    linear_grad_input_codes_kernel(const __grid_constant__ LinearArguments<T> arguments,
                                   const __grid_constant__ CodeSource source) {
  using Tile = SmallTile<T>;
  GPU_DYNAMIC_SHARED(memory);
  linear_grad_input_block<T, Tile, kMasked>(arguments, memory, StepsOfCodes<T, Tile, Inner::kAlongColumn>{arguments, source});
}
}  // namespace prunepeft::cuda
