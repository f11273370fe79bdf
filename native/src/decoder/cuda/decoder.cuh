// RMS normalisation, rotary embedding and gated activations on CUDA, forward and backward.
//
// A thread takes eight elements along a row at a time, 16-byte loads and stores where their addresses allow it; which elements
// it takes, and in which order it adds, does not depend on that, so that results have the same bits at any alignment. Each
// element of an output is written by the thread that has read what lies there in place.
//
// Limit: memory. The normalisation reads its operands twice, the second time from the nearest cache.
#pragma once

#include "cuda/element.cuh"
#include "cuda/reduce.cuh"
#include "linear/cuda/activation.cuh"
#include "prunepeft/decoder.h"

namespace prunepeft::cuda {
constexpr int kDecoderThreads = 256;
constexpr int kDecoderWarps = kDecoderThreads / gpu::kWarp;
/** Elements of a run that a warp normalises by itself, four groups a thread; a block shares longer ones. */
constexpr int64_t kMostOfAWarp = 4 * gpu::kWarp * gpu::kGroup;

template <class T>
struct NormArguments {
  const T* x;
  int64_t ldx;
  const T* dy;  // backward
  int64_t lddy;
  T* out;  // y or dX
  int64_t ldout;
  float* scales;  // null: not wanted
  int64_t ldscales;
  const T* weight;
  float offset;  // what is added to it
  float epsilon;
  int64_t K;
  int64_t runs_of_row;
  int64_t runs;
};

/** The runs of a thread, and its place in each. */
struct RunPlace {
  bool by_block;
  int64_t first, step;    // runs
  int64_t begin, stride;  // elements of a run

  GPU_INLINE explicit RunPlace(int64_t K) : by_block(K > kMostOfAWarp) {
    const int64_t block = blockIdx.x, blocks = gridDim.x;
    const int thread = static_cast<int>(threadIdx.x);
    first = by_block ? block : block * kDecoderWarps + thread / gpu::kWarp;
    step = by_block ? blocks : blocks * kDecoderWarps;
    begin = (by_block ? thread : thread % gpu::kWarp) * gpu::kGroup;
    stride = (by_block ? kDecoderThreads : gpu::kWarp) * gpu::kGroup;
  }
};

/** The sum over a run's threads, for each of them. */
GPU_INLINE float run_sum(const float (&own)[gpu::kGroup], bool by_block) {
  GPU_SHARED(float[kDecoderWarps], sums);
  const float sum = gpu::warp_sum(((own[0] + own[1]) + (own[2] + own[3])) + ((own[4] + own[5]) + (own[6] + own[7])));
  if (!by_block) return __shfl_sync(gpu::kFullMask, sum, 0);
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // the sums of the run before have been read
  if (thread % gpu::kWarp == 0) sums[thread / gpu::kWarp] = sum;
  __syncthreads();
  float all = 0;
#pragma unroll
  for (int warp = 0; warp < kDecoderWarps; warp++) all += sums[warp];
  return all;
}

/** w' of eight columns. */
template <class T>
GPU_INLINE void load_weights(const NormArguments<T>& arguments, int64_t j, float (&w)[gpu::kGroup]) {
  gpu::load_group(arguments.weight + j, arguments.K - j, w);
#pragma unroll
  for (int i = 0; i < gpu::kGroup; i++) w[i] += arguments.offset;
}

/** Where a pair of columns (j, j + n) of a head goes by its angle. */
template <class T>
struct RotateArguments {
  const T* x;
  int64_t ldx;
  T* y;
  int64_t ldy;
  int64_t rows, columns;
  const float* cosines;
  int64_t ldcosines;
  const float* sines;
  int64_t ldsines;
  int64_t n, positions;
  int64_t tokens, heads, head_size, past;
  const int32_t* starts;
  float direction;  // of the sines
};

/** Copies so many runs of columns, the first from column `first` on, `stride` apart. */
template <class T>
GPU_INLINE void copy_columns(const T* from, T* to, int64_t runs, int64_t first, int64_t length, int64_t stride) {
  const int64_t groups = gpu::divide_up(length, gpu::kGroup);
  for (int64_t item = threadIdx.x; item < runs * groups; item += kDecoderThreads) {
    const int64_t j = item % groups * gpu::kGroup, at = first + item / groups * stride + j;
    if (length - j >= gpu::kGroup && gpu::is_aligned(from + at) && gpu::is_aligned(to + at)) {
#pragma unroll
      for (int i = 0; i < gpu::kGroup; i += gpu::kPerVector<T>)
        *reinterpret_cast<uint4*>(to + at + i) = *reinterpret_cast<const uint4*>(from + at + i);
    } else {
      for (int i = 0; i < gpu::least(gpu::kGroup, length - j); i++) to[at + i] = from[at + i];
    }
  }
}

template <class T>
struct GateArguments {
  pp_gate gate;
  const T* gate_up;
  int64_t ldgate_up;
  const T* dout;  // backward
  int64_t lddout;
  T* to;  // out or dgate_up
  int64_t ldto;
  int64_t rows, columns;  // of out
};

/** σ(z) and σ'(z). */
struct Activated {
  float value, slope;
};

GPU_INLINE Activated activated(pp_gate gate, float z) {
  if (gate == PP_GEGLU) return {activate(PP_GELU, z), activation_slope(PP_GELU, z)};
  // SiLU is z·logistic(z). GELU's approximation z/2·(1 + tanh(u)) is z·logistic(2u), u = sqrt(2/π)·(z + 0.044715·z³); beyond 20
  // it is z or 0. By exp(-|v|), which keeps small values' relative accuracy.
  constexpr float kTwoRoots = 1.59576912161f, kCubic = 0.044715f, kNear = 20.0f;
  float near = z, v = z, dv = 1.0f;
  if (gate == PP_GEGLU_TANH) {
    near = z > kNear ? kNear : z < -kNear ? -kNear : z;
    v = near * kTwoRoots * (1.0f + kCubic * near * near);
    dv = kTwoRoots * (1.0f + 3.0f * kCubic * near * near);
  }
  const float e = expf(-fabsf(v)), r = 1.0f / (1.0f + e), logistic = v < 0.0f ? e * r : r;
  return {z * logistic, near * dv * (e * r * r) + logistic};
}

/** Calls body(row, column) for each group of eight columns. */
template <class Body>
GPU_INLINE void for_groups(int64_t rows, int64_t columns, Body body) {
  const int64_t groups_of_row = gpu::divide_up(columns, gpu::kGroup), groups = rows * groups_of_row;
  for (int64_t group = int64_t{blockIdx.x} * kDecoderThreads + threadIdx.x; group < groups;
       group += int64_t{gridDim.x} * kDecoderThreads)
    body(group / groups_of_row, group % groups_of_row * gpu::kGroup);
}

// CUDA kernels

template <class T>
__global__ void __launch_bounds__(kDecoderThreads) rms_norm_forward_kernel(const __grid_constant__ NormArguments<T> arguments) {
  const RunPlace place(arguments.K);
  const int64_t K = arguments.K;
  for (int64_t run = place.first; run < arguments.runs; run += place.step) {
    const int64_t row = run / arguments.runs_of_row, g = run % arguments.runs_of_row;
    const T* from = arguments.x + row * arguments.ldx + g * K;
    T* to = arguments.out + row * arguments.ldout + g * K;
    float squares[gpu::kGroup] = {};
    for (int64_t j = place.begin; j < K; j += place.stride) {
      float v[gpu::kGroup];
      gpu::load_group(from + j, K - j, v);
#pragma unroll
      for (int i = 0; i < gpu::kGroup; i++) squares[i] += v[i] * v[i];
    }
    const float mean = run_sum(squares, place.by_block) / static_cast<float>(K);
    const float scale = 1.0f / sqrtf(mean + arguments.epsilon);
    if (arguments.scales != nullptr && place.begin == 0) arguments.scales[row * arguments.ldscales + g] = scale;
    for (int64_t j = place.begin; j < K; j += place.stride) {
      float v[gpu::kGroup], w[gpu::kGroup];
      gpu::load_group(from + j, K - j, v);
      load_weights(arguments, j, w);
#pragma unroll
      for (int i = 0; i < gpu::kGroup; i++) v[i] = v[i] * scale * w[i];
      gpu::store_global_group(to + j, K - j, v);
    }
  }
}

// With s = 1 / sqrt(mean(x²) + ε): dx = s·w'∘dy − x·s³ / K·Σ w'∘dy∘x.
template <class T>
__global__ void __launch_bounds__(kDecoderThreads)
    rms_norm_backward_kernel(const __grid_constant__ NormArguments<T> arguments) {
  const RunPlace place(arguments.K);
  const int64_t K = arguments.K;
  for (int64_t run = place.first; run < arguments.runs; run += place.step) {
    const int64_t row = run / arguments.runs_of_row, g = run % arguments.runs_of_row;
    const T* from = arguments.x + row * arguments.ldx + g * K;
    const T* gradient = arguments.dy + row * arguments.lddy + g * K;
    T* to = arguments.out + row * arguments.ldout + g * K;
    float products[gpu::kGroup] = {};
    for (int64_t j = place.begin; j < K; j += place.stride) {
      float v[gpu::kGroup], dv[gpu::kGroup], w[gpu::kGroup];
      gpu::load_group(from + j, K - j, v);
      gpu::load_group(gradient + j, K - j, dv);
      load_weights(arguments, j, w);
#pragma unroll
      for (int i = 0; i < gpu::kGroup; i++) products[i] += dv[i] * w[i] * v[i];
    }
    const float scale = arguments.scales[row * arguments.ldscales + g];
    const float along = scale * scale * scale / static_cast<float>(K) * run_sum(products, place.by_block);
    for (int64_t j = place.begin; j < K; j += place.stride) {
      float v[gpu::kGroup], dv[gpu::kGroup], w[gpu::kGroup];
      gpu::load_group(from + j, K - j, v);
      gpu::load_group(gradient + j, K - j, dv);
      load_weights(arguments, j, w);
#pragma unroll
      for (int i = 0; i < gpu::kGroup; i++) v[i] = dv[i] * w[i] * scale - v[i] * along;
      gpu::store_global_group(to + j, K - j, v);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kDecoderThreads) rotate_kernel(const __grid_constant__ RotateArguments<T> arguments) {
  const int64_t n = arguments.n, d = arguments.head_size;
  const int64_t groups = gpu::divide_up(n, gpu::kGroup), rotated = arguments.heads * d;
  for (int64_t row = blockIdx.x; row < arguments.rows; row += gridDim.x) {
    const int64_t start = arguments.starts == nullptr ? 0 : arguments.starts[row];
    const int64_t wanted = arguments.past + row % arguments.tokens - start;
    const int64_t position = wanted < 0 ? 0 : gpu::least(wanted, arguments.positions - 1);
    const float* cosines = arguments.cosines + position * arguments.ldcosines;
    const float* sines = arguments.sines + position * arguments.ldsines;
    const T* from = arguments.x + row * arguments.ldx;
    T* to = arguments.y + row * arguments.ldy;
    for (int64_t item = threadIdx.x; item < arguments.heads * groups; item += kDecoderThreads) {
      const int64_t j = item % groups * gpu::kGroup, at = item / groups * d + j, count = n - j;
      float first[gpu::kGroup], second[gpu::kGroup], cosine[gpu::kGroup], sine[gpu::kGroup];
      gpu::load_group(from + at, count, first);
      gpu::load_group(from + at + n, count, second);
      gpu::load_group(cosines + j, count, cosine);
      gpu::load_group(sines + j, count, sine);
#pragma unroll
      for (int i = 0; i < gpu::kGroup; i++) {
        const float v = first[i];
        sine[i] *= arguments.direction;
        first[i] = v * cosine[i] - second[i] * sine[i];
        second[i] = second[i] * cosine[i] + v * sine[i];
      }
      gpu::store_global_group(to + at, count, first);
      gpu::store_global_group(to + at + n, count, second);
    }
    if (from == to) continue;
    copy_columns(from, to, arguments.heads, 2 * n, d - 2 * n, d);
    copy_columns(from, to, 1, rotated, arguments.columns - rotated, 0);
  }
}

template <class T>
__global__ void __launch_bounds__(kDecoderThreads) gate_forward_kernel(const __grid_constant__ GateArguments<T> arguments) {
  for_groups(arguments.rows, arguments.columns, [&](int64_t row, int64_t j) {
    const T* gates = arguments.gate_up + row * arguments.ldgate_up + j;
    const int64_t count = arguments.columns - j;
    float z[gpu::kGroup], up[gpu::kGroup];
    gpu::load_group(gates, count, z);
    gpu::load_group(gates + arguments.columns, count, up);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) z[i] = activated(arguments.gate, z[i]).value * up[i];
    gpu::store_global_group(arguments.to + row * arguments.ldto + j, count, z);
  });
}

template <class T>
__global__ void __launch_bounds__(kDecoderThreads) gate_backward_kernel(const __grid_constant__ GateArguments<T> arguments) {
  for_groups(arguments.rows, arguments.columns, [&](int64_t row, int64_t j) {
    const T* gates = arguments.gate_up + row * arguments.ldgate_up + j;
    T* dgates = arguments.to + row * arguments.ldto + j;
    const int64_t count = arguments.columns - j;
    float z[gpu::kGroup], up[gpu::kGroup], dout[gpu::kGroup];
    gpu::load_group(gates, count, z);
    gpu::load_group(gates + arguments.columns, count, up);
    gpu::load_group(arguments.dout + row * arguments.lddout + j, count, dout);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) {
      const Activated at = activated(arguments.gate, z[i]);
      z[i] = dout[i] * up[i] * at.slope;
      up[i] = dout[i] * at.value;
    }
    gpu::store_global_group(dgates, count, z);
    gpu::store_global_group(dgates + arguments.columns, count, up);
  });
}
}  // namespace prunepeft::cuda
