#include "read.h"

#include "cuda/gpu.cuh"

namespace gpu_check {
namespace {
constexpr int kThreads = 256;

/** What would be written does not come up, but the compiler does not know that. */
__global__ void __launch_bounds__(kThreads) read_vectors(const uint4* from, int64_t count, unsigned never, unsigned* kept) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  unsigned all = 0;
#pragma unroll 8
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += stride) {
    const uint4 v = from[i];
    all |= v.x | v.y | v.z | v.w;
  }
  if (all == never) *kept = all;
}
}  // namespace

void read_memory(const Memory& memory, int blocks) {
  constexpr unsigned kNever = 1;  // memory is zeros, or has been filled with a byte
  check(prunepeft::gpu::launch(read_vectors, blocks, kThreads, 0, nullptr, memory.data<uint4>(),
                               static_cast<int64_t>(memory.bytes() / sizeof(uint4)), kNever, memory.data<unsigned>()),
        "read_vectors");
}
}  // namespace gpu_check
