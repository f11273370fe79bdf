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

pp_status output_magnitude(const pp_device& device, const pp_matrix& p, pp_activation activation, const pp_matrix& q,
                           const pp_matrix* bias, const uint8_t* row_mask, double* sum, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  StackedModule module = {};
  module.a = q.data;
  module.lda = q.ld;
  module.s = p.data;
  module.lds = p.ld;
  module.rank = static_cast<int32_t>(p.cols);
  UpCall call = {};
  call.dtype = p.dtype;
  call.M = p.rows;
  call.N = q.rows;
  call.stack.add(module);
  call.activation = activation;
  call.dropout = kNoDropout;
  call.bias = bias == nullptr ? nullptr : bias->data;
  call.row_mask = row_mask;
  call.magnitude = sum;
  double* slots = Workspace(workspace).take<double>(magnitude_slots(call.M, call.N));
  return to_status(run_up(call, slots, stream_of(device)), "pp_output_magnitude");
}
}  // namespace prunepeft::cuda
