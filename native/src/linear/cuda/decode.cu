// Codes of quantised weights to values: a thread takes eight neighbours of a row, which is one write of 16 bytes where the type
// has 16 bits.
//
// Limit: the bytes of what is written over the memory's bandwidth.
#include "linear/cuda/decode.h"

#include <algorithm>

#include "cuda/element.cuh"
#include "linear/cuda/quantized_cuda.h"

namespace prunepeft::cuda {
constexpr int kDecodeThreads = 256;
constexpr int64_t kMostDecodeBlocks = 1 << 20;

template <class T>
struct DecodeArguments {
  const uint8_t* codes;
  Decoding decoding;
  int64_t rows, columns;
  T* to;
  int64_t ldto;
  /** Whether eight codes of NF4 can be read at once, with one scale. */
  bool reads_groups;
};

/** Element number `element`, which is in row `i`. */
GPU_INLINE float decoded(const uint8_t* codes, const Decoding& decoding, const float* table, int64_t i, int64_t element) {
  if (decoding.type == PP_INT8) return static_cast<float>(static_cast<int8_t>(codes[element])) * decoding.scales[i];
  const unsigned both = codes[element / 2], code = element % 2 == 0 ? both >> 4 : both & 15;
  return table[code] * decoding.scales[element >> decoding.block_shift];
}

template <class T>
__global__ void __launch_bounds__(kDecodeThreads) decode_weights(const __grid_constant__ DecodeArguments<T> arguments) {
  // Lanes ask for different values, which lie in different banks.
  GPU_SHARED(float[kCodes], table);
  const Decoding& decoding = arguments.decoding;
  if (threadIdx.x < kCodes) table[threadIdx.x] = decoding.table[threadIdx.x];
  __syncthreads();
  const int64_t groups_of_row = gpu::divide_up(arguments.columns, gpu::kGroup), groups = arguments.rows * groups_of_row;
  for (int64_t group = int64_t{blockIdx.x} * kDecodeThreads + threadIdx.x; group < groups;
       group += int64_t{gridDim.x} * kDecodeThreads) {
    const int64_t i = group / groups_of_row, first = group % groups_of_row * gpu::kGroup;
    const int64_t element = i * arguments.columns + first, count = gpu::least(gpu::kGroup, arguments.columns - first);
    T* const to = arguments.to + i * arguments.ldto + first;
    float values[gpu::kGroup];
    if (arguments.reads_groups && count == gpu::kGroup) {
      const uint32_t codes = *reinterpret_cast<const uint32_t*>(arguments.codes + element / 2);
      const float scale = decoding.scales[element >> decoding.block_shift];
#pragma unroll
      for (int j = 0; j < gpu::kGroup; j++) values[j] = table[codes >> (j % 2 == 0 ? 4 * j + 4 : 4 * j - 4) & 15u] * scale;
    } else {
#pragma unroll
      for (int j = 0; j < gpu::kGroup; j++)
        values[j] = j < count ? decoded(arguments.codes, decoding, table, i, element + j) : 0.0f;
    }
    gpu::store_global_group(to, count, values);
  }
}

namespace {
template <class T>
cudaError_t launch(const void* codes, const Decoding& decoding, const pp_matrix& to, cudaStream_t stream) {
  DecodeArguments<T> arguments = {};
  arguments.codes = static_cast<const uint8_t*>(codes);
  arguments.decoding = decoding;
  arguments.rows = to.rows;
  arguments.columns = to.cols;
  arguments.to = static_cast<T*>(to.data);
  arguments.ldto = to.ld;
  arguments.reads_groups = decoding.type == PP_NF4 && to.cols % gpu::kGroup == 0 && reinterpret_cast<uintptr_t>(codes) % 4 == 0;
  const int64_t groups = to.rows * gpu::divide_up(to.cols, gpu::kGroup);
  const int64_t blocks = std::min(gpu::divide_up(groups, kDecodeThreads), kMostDecodeBlocks);
  return gpu::launch(decode_weights<T>, blocks, kDecodeThreads, 0, stream, arguments);
}
}  // namespace

cudaError_t run_decode(const void* codes, const Decoding& decoding, const pp_matrix& to, cudaStream_t stream) {
  return dispatch(to.dtype, [&](auto element) { return launch<decltype(element)>(codes, decoding, to, stream); });
}

pp_status dequantize(const pp_device& device, const void* codes, const Decoding& decoding, const pp_matrix& to) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  return to_status(run_decode(codes, decoding, to, stream_of(device)), "pp_dequantize");
}
}  // namespace prunepeft::cuda
