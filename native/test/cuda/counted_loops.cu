// Not a part of anything: kernels whose loops cmake/cuda_loops.py must count as they are here, and one that it must refuse.
#include "cuda/ptx.cuh"

namespace prunepeft::cuda {
/** Around a loop of three products lies one with two conversions from float64, a barrier and a store. */
__global__ void nested_loops(const double* in, float* out, int outer, int inner) {
  unsigned a[4] = {}, b[2] = {};
  float sums[4] = {};
#pragma unroll 1
  for (int i = 0; i < outer; i++) {
#pragma unroll 1
    for (int k = 0; k < inner; k++) {
      a[0] += 5;
#pragma unroll
      for (int j = 0; j < 3; j++) ptx::mma_m16n8k16(sums, a, b, __half{});
    }
    __syncthreads();
    out[i] = static_cast<float>(in[2 * i]) + static_cast<float>(in[2 * i + 1]);
  }
  out[outer + threadIdx.x] = sums[0] + sums[1] + sums[2] + sums[3];
}

/** A loop of two copies and a product, whose shortest turn leaves out a hundred multiplications. */
__global__ void skipped_part(const uint4* in, float* out, int steps) {
  GPU_SHARED(uint4[2], tile);
  unsigned a[4] = {in[0].x, in[0].y, in[0].z, in[0].w}, b[2] = {};
  float sums[4] = {};
#pragma unroll 1
  for (int i = 0; i < steps; i++) {
    ptx::cp_async16(&tile[0], in + 2 * i, 16);
    ptx::cp_async16(&tile[1], in + 2 * i + 1, 16);
    ptx::cp_async_commit();
    if (__float_as_uint(out[i]) == 1) {
#pragma unroll
      for (int k = 0; k < 100; k++) a[0] = (a[0] ^ a[1]) * (a[1] + 3), a[1] ^= a[0] >> 7;
    }
    ptx::mma_m16n8k16(sums, a, b, __half{});
  }
  out[threadIdx.x] = sums[0] + sums[1] + sums[2] + sums[3];
}

/** The same, where that part is stored in shared memory: a turn that stores nothing leaves it out, and reads what others
 * stored. */
__global__ void stored_part(const uint4* in, float* out, int steps) {
  GPU_SHARED(uint4[2], tile);
  GPU_SHARED(unsigned[32], words);
  unsigned a[4] = {in[0].x, in[0].y, in[0].z, in[0].w}, b[2] = {};
  float sums[4] = {};
#pragma unroll 1
  for (int i = 0; i < steps; i++) {
    ptx::cp_async16(&tile[0], in + 2 * i, 16);
    ptx::cp_async16(&tile[1], in + 2 * i + 1, 16);
    ptx::cp_async_commit();
    if (a[2] == 1) {
#pragma unroll
      for (int k = 0; k < 100; k++) a[0] = (a[0] ^ a[1]) * (a[1] + 3), a[1] ^= a[0] >> 7;
      words[threadIdx.x % 32] = a[0];
    }
    a[2] += words[i % 32];
    ptx::mma_m16n8k16(sums, a, b, __half{});
  }
  out[threadIdx.x] = sums[0] + sums[1] + sums[2] + sums[3];
}

/** No turn of the loop makes both products: the table gives ways, also those that draw a mask or read one. */
__global__ void way_with_masks(const uint4* in, uint4* out, const unsigned char* kept, int modules, int steps, bool halves,
                               bool draws) {
  GPU_SHARED(uint4[32], tile);
  unsigned a[4] = {in[0].x, in[0].y, in[0].z, in[0].w}, b[2] = {};
  float sums[4] = {};
#pragma unroll 1
  for (int m = 0; m < modules; m++) {
#pragma unroll 1
    for (int i = 0; i < steps; i++) ptx::cp_async16(&tile[i % 32], in + m * steps + i, 16);
    ptx::cp_async_commit();
    if (halves) {
#pragma unroll 1
      for (int i = 0; i < steps; i++) ptx::mma_m16n8k16(sums, a, b, __half{});
    } else {
#pragma unroll 1
      for (int i = 0; i < steps; i++) ptx::mma_m16n8k16(sums, a, b, __nv_bfloat16{});
    }
    if (draws) {
      uint64_t wide = a[0];
#pragma unroll
      for (int k = 0; k < 16; k++) wide = (wide & 0xffffffff) * 0xd2511f53 ^ wide >> 32;
      a[0] ^= static_cast<unsigned>(wide);
    } else if (kept != nullptr) {
      a[0] ^= kept[m];
    }
  }
  ptx::store_vector(out + threadIdx.x, make_uint4(a[0], a[1], __float_as_uint(sums[0]), tile[a[2] % 32].x));
}

/**
 * A loop that copies a vector, or its elements with a hundred multiplications, and takes four remainders: of numbers of 32 bits
 * by code in the loop, of longer ones by a call, whose own instructions are fewer.
 */
__global__ void vectors_or_elements(const uint4* in, uint4* out, int64_t* remainders, int64_t divisor, int steps, bool whole) {
#pragma unroll 1
  for (int i = 0; i < steps; i++) {
    if (whole) {
      ptx::store_vector(out + i, in[i]);
    } else {
      unsigned a = reinterpret_cast<const unsigned*>(in)[i];
#pragma unroll
      for (int k = 0; k < 100; k++) a = (a ^ a >> 7) * (a + 3);
      reinterpret_cast<unsigned*>(out)[i] = a;
    }
    int64_t remainder = remainders[i];
#pragma unroll
    for (int k = 0; k < 4; k++) remainder = (remainder + k) * remainder % divisor;
    remainders[i] = remainder;
  }
}

/** A vector by a table in shared memory, or by a word from elsewhere and a hundred multiplications. */
__global__ void by_table_or_not(const uint4* in, uint4* out, const unsigned* words, int steps, bool by_table) {
  GPU_SHARED(unsigned[32], table);
  table[threadIdx.x % 32] = words[threadIdx.x];
  __syncthreads();
#pragma unroll 1
  for (int i = 0; i < steps; i++) {
    uint4 v = in[i];
    if (by_table) {
      v.x ^= table[v.x % 32];
    } else {
      v.x ^= words[v.x];
#pragma unroll
      for (int k = 0; k < 100; k++) v.x = (v.x ^ v.x >> 7) * (v.x + 3);
    }
    ptx::store_vector(out + i, v);
  }
}

/** An array that is reached by a number lies in local memory. */
__global__ void local_array(const int* in, float* out) {
  float values[16];
  for (int i = 0; i < 16; i++) values[i] = static_cast<float>(in[i]);
  for (int i = 0; i < 16; i++) values[in[i] & 15] += 1;
  out[threadIdx.x] = values[in[16] & 15];
}
}  // namespace prunepeft::cuda
