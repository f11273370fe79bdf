// RMS normalisation, rotary embedding and gated activations on CUDA, forward and backward.
//
// A thread takes eight elements along a row at a time. Where all rows begin at multiples of 16 bytes and all groups are
// whole (kAligned) these are 16-byte loads and stores, else as far as their addresses allow it; which elements a thread
// takes, and in which order it adds, does not depend on that, and where norms and the rotation add two products it is
// written down which one is fused: so results have the same bits at any alignment. Each element of an output is written by
// the thread that has read what lies there in place.
//
// A block takes as many runs that are normalised, or rows that are rotated, as it has threads for (log_threads_of): each thread
// of a run of up to 8192 elements takes one to four groups, and those of up to 3584 share a block.
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
/** A multiprocessor's, of the two kernels of which the compiler spills registers where it may choose (sm_86, sm_100). */
constexpr int kDecoderBlocks = 4;

/** Eight elements of a row of which so many are left from p on. */
template <bool kAligned, class T>
GPU_INLINE void load_eight(const T* p, int64_t left, float (&v)[gpu::kGroup]) {
  if constexpr (kAligned)
    gpu::load_group(p, v);
  else
    gpu::load_group(p, left, v);
}
template <bool kAligned, class T>
GPU_INLINE void store_eight(T* p, int64_t left, const float (&v)[gpu::kGroup]) {
  if constexpr (kAligned)
    gpu::store_global_group(p, v);
  else
    gpu::store_global_group(p, left, v);
}

/** A thread's run, or row, of 2^log_threads threads; there may be none of that number. */
struct Place {
  int threads;
  int64_t run;
  int thread;  // its number among those of the run

  GPU_INLINE explicit Place(int log_threads) : threads(1 << log_threads) {
    const int of_block = static_cast<int>(threadIdx.x);
    run = int64_t{blockIdx.x} * (kDecoderThreads >> log_threads) + (of_block >> log_threads);
    thread = of_block & (threads - 1);
  }
};

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
  int log_threads;  // of a run, to the base of 2
};

/** The sum over the threads of each run, for all of them. All of a block call it. */
GPU_INLINE float run_sum(const float (&own)[gpu::kGroup], int threads) {
  GPU_SHARED(float[kDecoderWarps], sums);
  float sum = ((own[0] + own[1]) + (own[2] + own[3])) + ((own[4] + own[5]) + (own[6] + own[7]));
#pragma unroll
  for (int distance = gpu::kWarp / 2; distance > 0; distance /= 2)
    if (distance < threads) sum += __shfl_xor_sync(gpu::kFullMask, sum, distance);
  if (threads <= gpu::kWarp) return sum;
  const int thread = static_cast<int>(threadIdx.x), warps = threads / gpu::kWarp;
  if (thread % gpu::kWarp == 0) sums[thread / gpu::kWarp] = sum;
  __syncthreads();
  const float* const of_run = sums + (thread / gpu::kWarp & ~(warps - 1));
  sum = of_run[0];
#pragma unroll
  for (int warp = 1; warp < kDecoderWarps; warp++)
    if (warp < warps) sum += of_run[warp];
  return sum;
}

/** w' of eight columns. */
template <bool kAligned, class T>
GPU_INLINE void load_weights(const NormArguments<T>& arguments, int64_t j, float (&w)[gpu::kGroup]) {
  load_eight<kAligned>(arguments.weight + j, arguments.K - j, w);
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
  int log_threads;  // of a row, to the base of 2
};

/** Copies so many runs of a row's columns, the first from column `first` on, `stride` apart, by the row's threads. */
template <class T>
GPU_INLINE void copy_columns(const T* from, T* to, int64_t runs, int64_t first, int64_t length, int64_t stride, int thread,
                             int threads) {
  const int64_t groups = gpu::divide_up(length, gpu::kGroup);
  for (int64_t item = thread; item < runs * groups; item += threads) {
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

/** Calls body(row, column) for the thread's group of eight columns. */
template <class Body>
GPU_INLINE void for_group(int64_t rows, int64_t columns, Body body) {
  const int64_t groups_of_row = gpu::divide_up(columns, gpu::kGroup);
  const int64_t group = int64_t{blockIdx.x} * kDecoderThreads + threadIdx.x;
  if (group < rows * groups_of_row) body(group / groups_of_row, group % groups_of_row * gpu::kGroup);
}

// CUDA kernels

template <class T, bool kAligned>
__global__ void __launch_bounds__(kDecoderThreads, kDecoderBlocks)
    rms_norm_forward_kernel(const __grid_constant__ NormArguments<T> arguments) {
  const Place place(arguments.log_threads);
  const int64_t begin = place.thread * gpu::kGroup, stride = place.threads * gpu::kGroup;
  const int64_t run = place.run, K = run < arguments.runs ? arguments.K : 0;  // behind the last one nothing
  const int64_t row = run / arguments.runs_of_row, g = run % arguments.runs_of_row;
  const T* from = arguments.x + row * arguments.ldx + g * arguments.K;
  T* to = arguments.out + row * arguments.ldout + g * arguments.K;
  float squares[gpu::kGroup] = {};
  for (int64_t j = begin; j < K; j += stride) {
    float v[gpu::kGroup];
    load_eight<kAligned>(from + j, K - j, v);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) squares[i] += v[i] * v[i];
  }
  const float mean = run_sum(squares, place.threads) / static_cast<float>(arguments.K);
  const float scale = 1.0f / sqrtf(mean + arguments.epsilon);
  if (arguments.scales != nullptr && begin == 0 && K > 0) arguments.scales[row * arguments.ldscales + g] = scale;
  for (int64_t j = begin; j < K; j += stride) {
    float v[gpu::kGroup], w[gpu::kGroup];
    load_eight<kAligned>(from + j, K - j, v);
    load_weights<kAligned>(arguments, j, w);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) v[i] = v[i] * scale * w[i];
    store_eight<kAligned>(to + j, K - j, v);
  }
}

// With s = 1 / sqrt(mean(x²) + ε): dx = s·w'∘dy − x·s³ / K·Σ w'∘dy∘x.
template <class T, bool kAligned>
__global__ void __launch_bounds__(kDecoderThreads)
    rms_norm_backward_kernel(const __grid_constant__ NormArguments<T> arguments) {
  const Place place(arguments.log_threads);
  const int64_t begin = place.thread * gpu::kGroup, stride = place.threads * gpu::kGroup;
  const int64_t run = place.run, K = run < arguments.runs ? arguments.K : 0;
  const int64_t row = run / arguments.runs_of_row, g = run % arguments.runs_of_row;
  const T* from = arguments.x + row * arguments.ldx + g * arguments.K;
  const T* gradient = arguments.dy + row * arguments.lddy + g * arguments.K;
  T* to = arguments.out + row * arguments.ldout + g * arguments.K;
  float products[gpu::kGroup] = {};
  for (int64_t j = begin; j < K; j += stride) {
    float v[gpu::kGroup], dv[gpu::kGroup], w[gpu::kGroup];
    load_eight<kAligned>(from + j, K - j, v);
    load_eight<kAligned>(gradient + j, K - j, dv);
    load_weights<kAligned>(arguments, j, w);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) products[i] += dv[i] * w[i] * v[i];
  }
  const float scale = K > 0 ? arguments.scales[row * arguments.ldscales + g] : 0.0f;
  const float along = scale * scale * scale / static_cast<float>(arguments.K) * run_sum(products, place.threads);
  for (int64_t j = begin; j < K; j += stride) {
    float v[gpu::kGroup], dv[gpu::kGroup], w[gpu::kGroup];
    load_eight<kAligned>(from + j, K - j, v);
    load_eight<kAligned>(gradient + j, K - j, dv);
    load_weights<kAligned>(arguments, j, w);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) v[i] = __fmaf_rn(-v[i], along, dv[i] * w[i] * scale);
    store_eight<kAligned>(to + j, K - j, v);
  }
}

template <class T, bool kAligned>
__global__ void __launch_bounds__(kDecoderThreads, kDecoderBlocks)
    rotate_kernel(const __grid_constant__ RotateArguments<T> arguments) {
  const Place place(arguments.log_threads);
  const int64_t n = arguments.n, d = arguments.head_size;
  const int64_t groups = gpu::divide_up(n, gpu::kGroup), rotated = arguments.heads * d;
  const int64_t row = place.run;
  if (row >= arguments.rows) return;
  const int64_t start = arguments.starts == nullptr ? 0 : arguments.starts[row];
  const int64_t wanted = arguments.past + row % arguments.tokens - start;
  const int64_t position = wanted < 0 ? 0 : gpu::least(wanted, arguments.positions - 1);
  const float* cosines = arguments.cosines + position * arguments.ldcosines;
  const float* sines = arguments.sines + position * arguments.ldsines;
  const T* from = arguments.x + row * arguments.ldx;
  T* to = arguments.y + row * arguments.ldy;
  for (int64_t item = place.thread; item < arguments.heads * groups; item += place.threads) {
    const int64_t j = item % groups * gpu::kGroup, at = item / groups * d + j, count = n - j;
    float first[gpu::kGroup], second[gpu::kGroup], cosine[gpu::kGroup], sine[gpu::kGroup];
    load_eight<kAligned>(from + at, count, first);
    load_eight<kAligned>(from + at + n, count, second);
    load_eight<kAligned>(cosines + j, count, cosine);
    load_eight<kAligned>(sines + j, count, sine);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) {
      const float v = first[i];
      sine[i] *= arguments.direction;
      first[i] = __fmaf_rn(v, cosine[i], -(second[i] * sine[i]));
      second[i] = __fmaf_rn(second[i], cosine[i], v * sine[i]);
    }
    store_eight<kAligned>(to + at, count, first);
    store_eight<kAligned>(to + at + n, count, second);
  }
  if (from == to) return;
  copy_columns(from, to, arguments.heads, 2 * n, d - 2 * n, d, place.thread, place.threads);
  copy_columns(from, to, 1, rotated, arguments.columns - rotated, 0, place.thread, place.threads);
}

template <class T, bool kAligned>
__global__ void __launch_bounds__(kDecoderThreads) gate_forward_kernel(const __grid_constant__ GateArguments<T> arguments) {
  for_group(arguments.rows, arguments.columns, [&](int64_t row, int64_t j) {
    const T* gates = arguments.gate_up + row * arguments.ldgate_up + j;
    const int64_t count = arguments.columns - j;
    float z[gpu::kGroup], up[gpu::kGroup];
    load_eight<kAligned>(gates, count, z);
    load_eight<kAligned>(gates + arguments.columns, count, up);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) z[i] = activated(arguments.gate, z[i]).value * up[i];
    store_eight<kAligned>(arguments.to + row * arguments.ldto + j, count, z);
  });
}

template <class T, bool kAligned>
__global__ void __launch_bounds__(kDecoderThreads) gate_backward_kernel(const __grid_constant__ GateArguments<T> arguments) {
  for_group(arguments.rows, arguments.columns, [&](int64_t row, int64_t j) {
    const T* gates = arguments.gate_up + row * arguments.ldgate_up + j;
    T* dgates = arguments.to + row * arguments.ldto + j;
    const int64_t count = arguments.columns - j;
    float z[gpu::kGroup], up[gpu::kGroup], dout[gpu::kGroup];
    load_eight<kAligned>(gates, count, z);
    load_eight<kAligned>(gates + arguments.columns, count, up);
    load_eight<kAligned>(arguments.dout + row * arguments.lddout + j, count, dout);
#pragma unroll
    for (int i = 0; i < gpu::kGroup; i++) {
      const Activated at = activated(arguments.gate, z[i]);
      z[i] = dout[i] * up[i] * at.slope;
      up[i] = dout[i] * at.value;
    }
    store_eight<kAligned>(dgates, count, z);
    store_eight<kAligned>(dgates + arguments.columns, count, up);
  });
}
}  // namespace prunepeft::cuda
