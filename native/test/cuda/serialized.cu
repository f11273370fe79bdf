// Not a part of anything: the compile gate (cmake/CudaResources.cmake) must refuse it. An accumulator is written between two
// products of one group, so that ptxas has the second wait for the first.
#include "cuda/ptx.cuh"

namespace prunepeft::cuda {
__global__ void serialized(uint64_t left, uint64_t right, float* out) {
  float sums[32] = {};
  ptx::wgmma_fence();
  ptx::wgmma_m64n64k16<false>(sums, left, right, __half{});
  sums[0] += out[0];
  ptx::wgmma_m64n64k16<false>(sums, left, right, __half{});
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  for (float sum : sums) out[threadIdx.x] += sum;
}
}  // namespace prunepeft::cuda
