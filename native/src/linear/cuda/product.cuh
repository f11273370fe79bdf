// Products of a warp on tiles in shared memory: 16 rows by tiles of 16 columns, accumulated in float32.
//
// For 16-bit types by mma.m16n8k16 and ldmatrix; for float32 by fused multiply-adds on the same layout of the accumulators, so
// that everything around the product is the same. Lane l holds rows l/4 and l/4 + 8, columns 2(l%4) and 2(l%4) + 1 of each half
// of a tile.
#pragma once

#include "cuda/element.cuh"
#include "cuda/ptx.cuh"
#include "linear/cuda/stack.cuh"

namespace prunepeft::cuda {
constexpr int kProductRows = 16;
/** Inner dimension of one step. */
template <class T>
constexpr int kStep = sizeof(T) == 2 ? 16 : 8;
static_assert(kTileRanks == 16, "a tile is two halves of eight columns");

/** A tile's accumulators: element i of half h is row accumulator_row(i), column accumulator_column(h, i). */
using Accumulator = float[2][4];

GPU_INLINE int lane_index() {
  return static_cast<int>(threadIdx.x) % gpu::kWarp;
}
GPU_INLINE int accumulator_row(int i) {
  return lane_index() / 4 + i / 2 * 8;
}
GPU_INLINE int accumulator_column(int half, int i) {
  return half * 8 + lane_index() % 4 * 2 + i % 2;
}

/** How an operand lies in its tile: with the inner dimension along a row, or along a column. */
enum class Inner { kAlongRow, kAlongColumn };

/** 16 rows by kStep of the left operand. */
template <class T>
struct LeftFragment {
  unsigned r[4];

  template <Inner kInner>
  GPU_INLINE void load(const T* tile, int ld, int row, int inner) {
    const int lane = lane_index();
    if (kInner == Inner::kAlongRow)
      ptx::ldmatrix_x4(r, tile + (row + lane % 16) * ld + inner + lane / 16 * 8);
    else
      ptx::ldmatrix_x4_trans(r, tile + (inner + lane % 8 + lane / 16 * 8) * ld + row + lane / 8 % 2 * 8);
  }
};

static_assert(kStep<float> == gpu::kGroup, "a step is one group");
template <>
struct LeftFragment<float> {
  float v[2][kStep<float>];

  template <Inner kInner>
  GPU_INLINE void load(const float* tile, int ld, int row, int inner) {
    row += lane_index() / 4;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if (kInner == Inner::kAlongRow) {
        gpu::load_group(tile + (row + i * 8) * ld + inner, v[i]);
      } else {
#pragma unroll
        for (int k = 0; k < kStep<float>; k++) v[i][k] = tile[(inner + k) * ld + row + i * 8];
      }
    }
  }
};

/** kStep by 16 of the right operand. */
template <class T>
struct RightFragment {
  unsigned r[4];

  template <Inner kInner>
  GPU_INLINE void load(const T* tile, int ld, int column, int inner) {
    const int lane = lane_index();
    if (kInner == Inner::kAlongRow)
      ptx::ldmatrix_x4(r, tile + (column + lane % 8 + lane / 16 * 8) * ld + inner + lane / 8 % 2 * 8);
    else
      ptx::ldmatrix_x4_trans(r, tile + (inner + lane % 16) * ld + column + lane / 16 * 8);
  }
};

/** The lane's four columns: two of each half. */
template <>
struct RightFragment<float> {
  float v[2][2][kStep<float>];

  template <Inner kInner>
  GPU_INLINE void load(const float* tile, int ld, int column, int inner) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int n = column + accumulator_column(half, 0);
      if (kInner == Inner::kAlongRow) {
        gpu::load_group(tile + n * ld + inner, v[half][0]);
        gpu::load_group(tile + (n + 1) * ld + inner, v[half][1]);
      } else {
#pragma unroll
        for (int k = 0; k < kStep<float>; k++) {
          const float2 pair = *reinterpret_cast<const float2*>(tile + (inner + k) * ld + n);
          v[half][0][k] = pair.x;
          v[half][1][k] = pair.y;
        }
      }
    }
  }
};

template <class T>
GPU_INLINE void multiply_add(Accumulator& accumulator, const LeftFragment<T>& left, const RightFragment<T>& right) {
  const unsigned half0[2] = {right.r[0], right.r[1]}, half1[2] = {right.r[2], right.r[3]};
  ptx::mma_m16n8k16(accumulator[0], left.r, half0, T{});
  ptx::mma_m16n8k16(accumulator[1], left.r, half1, T{});
}

GPU_INLINE void multiply_add(Accumulator& accumulator, const LeftFragment<float>& left, const RightFragment<float>& right) {
#pragma unroll
  for (int half = 0; half < 2; half++)
#pragma unroll
    for (int k = 0; k < kStep<float>; k++)
#pragma unroll
      for (int i = 0; i < 4; i++) accumulator[half][i] += left.v[i / 2][k] * right.v[half][i % 2][k];
}

/** accumulator += left * (kStep by 16 of the right operand, whose tile begins at column `column`). */
template <Inner kInner, class T>
GPU_INLINE void multiply_add(Accumulator& accumulator, const LeftFragment<T>& left, const T* tile, int ld, int column,
                             int inner) {
  RightFragment<T> right;
  right.template load<kInner>(tile, ld, column, inner);
  multiply_add(accumulator, left, right);
}
}  // namespace prunepeft::cuda
