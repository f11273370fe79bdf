// The output magnitude on CUDA: an up product whose output is summed where it is made.
#include "cuda/device.h"
#include "importance/cuda/importance_cuda.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
size_t output_magnitude_workspace(int64_t M, int64_t N) {
  Workspace workspace(nullptr);
  workspace.take<double>(magnitude_slots(M, N));
  return workspace.bytes();
}

pp_status output_magnitude(const pp_device& device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* p, int64_t ldp,
                           pp_activation activation, const void* q, int64_t ldq, const void* bias, const uint8_t* row_mask,
                           double* sum, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  Branch branch = {};
  branch.a = q;
  branch.lda = ldq;
  branch.s = const_cast<void*>(p);  // only read
  branch.lds = ldp;
  branch.rank = static_cast<int32_t>(r);
  UpCall call = {};
  call.dtype = dtype;
  call.M = M;
  call.N = N;
  call.stack.add(branch);
  call.activation = activation;
  call.dropout = kNoDropout;
  call.bias = bias;
  call.row_mask = row_mask;
  call.magnitude = sum;
  double* slots = Workspace(workspace).take<double>(magnitude_slots(M, N));
  return to_status(run_up(call, slots, stream_of(device)), "pp_output_magnitude");
}
}  // namespace prunepeft::cuda
