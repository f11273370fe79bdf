// Pairs of partial sums as grad.cuh moves them, compiled where types are told apart: what is stored as a pair is there as
// numbers, and the other way round.
#include <cstdio>

#include "linear/cuda/grad.cuh"

namespace {
using prunepeft::cuda::SlotPairs;

__global__ void move_pairs(float* slots, float* sums) {
  const SlotPairs pairs(slots, 2);
  if (!pairs.aligned) return;  // so that the compiler sees one way alone
  slots[0] = slots[1] = -1;
  pairs.store(slots, 3, 5, 2);
  sums[0] = slots[0];
  sums[1] = slots[1];
  alignas(float2) float pair[2] = {-1, -1};
  slots[0] = 7;
  slots[1] = 11;
  pairs.load(pair, slots, 2);
  sums[2] = pair[0];
  sums[3] = pair[1];
}
}  // namespace

int main() {
  constexpr int kSums = 4;
  constexpr float kExpected[kSums] = {3, 5, 7, 11};
  float *slots = nullptr, *sums = nullptr, got[kSums] = {};
  cudaMalloc(reinterpret_cast<void**>(&slots), 2 * sizeof(float));
  cudaMalloc(reinterpret_cast<void**>(&sums), sizeof got);
  prunepeft::gpu::launch(move_pairs, dim3(1), 1, 0, nullptr, slots, sums);
  const cudaError_t error = cudaMemcpy(got, sums, sizeof got, cudaMemcpyDeviceToHost);
  cudaFree(slots);
  cudaFree(sums);
  bool good = error == cudaSuccess;
  for (int i = 0; i < kSums; i++) good = good && got[i] == kExpected[i];
  printf("%g %g, %g %g: %s\n", got[0], got[1], got[2], got[3],
         good                   ? "passed"
         : error == cudaSuccess ? "FAILED"
                                : cudaGetErrorString(error));
  return good ? 0 : 1;
}
