// The output magnitude on CUDA: an up product of σ(p) whose output is summed where it is made.
#include "cuda/device.h"
#include "importance/cuda/importance_cuda.h"
#include "linear/cuda/activate.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
namespace {
/** Parts of the workspace. */
struct MagnitudeParts {
  double* slots;
  void* activated;  // σ(p), without padding
  MagnitudeParts(const pp_matrix& p, int64_t N, Workspace& workspace)
      : slots(workspace.take<double>(magnitude_slots(p.rows, N))),
        activated(workspace.take<char>(p.rows * p.cols * static_cast<int64_t>(pp_dtype_size(p.dtype)))) {}
};
}  // namespace

size_t output_magnitude_workspace(const pp_matrix& p, int64_t N) {
  Workspace workspace(nullptr);
  MagnitudeParts(p, N, workspace);
  return workspace.bytes();
}

pp_status output_magnitude(const pp_device& device, const pp_matrix& p, pp_activation activation, const pp_matrix& q,
                           const pp_matrix* bias, const uint8_t* row_mask, double* sum, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  Workspace space(workspace);
  const MagnitudeParts parts(p, q.rows, space);
  StackedModule module = {};
  module.a = q.data;
  module.lda = q.ld;
  module.s = p.data;
  module.lds = p.ld;
  cudaError_t error = cudaSuccess;
  if (activation != PP_IDENTITY && p.rows > 0) {
    error = run_activate(p, activation, parts.activated, stream);
    module.s = parts.activated;
    module.lds = p.cols;
  }
  module.rank = static_cast<int32_t>(p.cols);
  UpCall call = {};
  call.dtype = p.dtype;
  call.M = p.rows;
  call.N = q.rows;
  call.stack.add(module);
  call.dropout = kNoDropout;
  call.bias = bias == nullptr ? nullptr : bias->data;
  call.row_mask = row_mask;
  call.magnitude = sum;
  if (error == cudaSuccess) error = run_up(call, parts.slots, stream);
  return to_status(error, "pp_output_magnitude");
}
}  // namespace prunepeft::cuda
