// Adapters on CUDA, made of skinny products. Forward: z by a down product with bias, which leaves σ(z) too, and out by an up
// product that adds u and h as it writes. Backward: σ(z) again; dz, dU and du from one read of dout; dD from one read of v; dd
// as column sums of dz; dv by an up product.
//
// σ(z) is stored: the products read it once for each block of columns, by copies that cannot compute.
#include "adapter/cuda/adapter_cuda.h"

#include <algorithm>

#include "cuda/device.h"
#include "linear/cuda/activate.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
namespace {
/** A matrix without padding in a workspace. */
pp_matrix take_matrix(Workspace& workspace, pp_dtype dtype, int64_t rows, int64_t cols) {
  return {workspace.take<char>(rows * cols * static_cast<int64_t>(pp_dtype_size(dtype))), rows, cols, cols, dtype};
}

/** Parts of the forward pass's workspace. */
struct ForwardParts {
  pp_matrix activated;  // σ(z)
  float* slots;
  ForwardParts(pp_dtype dtype, int64_t M, int64_t K, int64_t m, Workspace& workspace)
      : activated(take_matrix(workspace, dtype, M, m)), slots(workspace.take<float>(down_slots(M, K, m))) {}
};

/** Parts of the backward pass's workspace; the column slots serve three products in turn. */
struct BackwardParts {
  pp_matrix activated;  // σ(z)
  pp_matrix dz;
  float* row_slots;
  float* column_slots;
  BackwardParts(pp_dtype dtype, int64_t M, int64_t K, int64_t m, Workspace& workspace)
      : activated(take_matrix(workspace, dtype, M, m)),
        dz(take_matrix(workspace, dtype, M, m)),
        row_slots(workspace.take<float>(grad_slots(dtype, M, K, m + 1, m).rows)),
        column_slots(workspace.take<float>(largest_column_slots(dtype, M, K, m))) {}

 private:
  static int64_t largest_column_slots(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
    return std::max({grad_slots(dtype, M, K, m + 1, m).columns, grad_slots(dtype, M, K, m, 0).columns,
                     grad_slots(dtype, M, m, 1, 0).columns});
  }
};

/** P is [M,rank]; A or B is `weights`, and the gradient is theirs: null where a product has none. */
StackedModule narrow(const pp_matrix& p, const pp_matrix* weights, const pp_matrix* gradient) {
  StackedModule module = {};
  module.s = p.data;
  module.lds = p.ld;
  module.scale = 1;
  module.rank = static_cast<int32_t>(p.cols);
  if (weights != nullptr) {
    module.a = weights->data;
    module.lda = weights->ld;
  }
  if (gradient != nullptr) {
    module.gradient = static_cast<float*>(gradient->data);
    module.ldg = gradient->ld;
  }
  return module;
}

/** A module whose gradient is the column sums. */
StackedModule ones(const pp_matrix& sums) {
  StackedModule module = {};
  module.gradient = static_cast<float*>(sums.data);
  module.ldg = 1;
  module.scale = 1;
  module.rank = 1;
  return module;
}
}  // namespace

size_t adapter_forward_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  Workspace workspace(nullptr);
  ForwardParts(dtype, M, K, m, workspace);
  return workspace.bytes();
}

pp_status adapter_forward(const pp_device& device, const pp_matrix& v, const pp_matrix& h, const pp_adapter& adapter,
                          const pp_matrix& z, const pp_matrix& out, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  Workspace space(workspace);
  const ForwardParts parts(v.dtype, v.rows, v.cols, z.cols, space);
  const bool activates = adapter.activation != PP_IDENTITY;
  DownCall down = {v.dtype,
                   v.rows,
                   v.cols,
                   v.data,
                   v.ld,
                   {},
                   kNoDropout,
                   adapter.down_bias.data,
                   adapter.activation,
                   activates ? parts.activated.data : nullptr};
  down.stack.add(narrow(z, &adapter.down, nullptr));
  cudaError_t error = run_down(down, parts.slots, stream);
  if (error == cudaSuccess) {
    UpCall up = up_call(out, false);
    up.stack.add(narrow(activates ? parts.activated : z, &adapter.up, nullptr));
    up.base = h.data;
    up.ldbase = h.ld;
    up.bias = adapter.up_bias.data;
    error = run_up(up, nullptr, stream);
  }
  return to_status(error, "pp_adapter_forward");
}

size_t adapter_backward_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  Workspace workspace(nullptr);
  BackwardParts(dtype, M, K, m, workspace);
  return workspace.bytes();
}

pp_status adapter_backward(const pp_device& device, const AdapterBackwardCall& call, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  const pp_matrix &dout = call.dout, &z = call.z;
  const pp_adapter_gradients& gradients = call.gradients;
  Workspace space(workspace);
  const BackwardParts parts(dout.dtype, dout.rows, dout.cols, z.cols, space);
  const pp_matrix& dz = parts.dz;

  const bool activates = call.adapter.activation != PP_IDENTITY;
  cudaError_t error = activates ? run_activate(z, call.adapter.activation, parts.activated.data, stream) : cudaSuccess;
  GradCall up = grad_call(dout, false);
  up.stack.add(narrow(activates ? parts.activated : z, &call.adapter.up, &gradients.up));
  up.stack.add(ones(gradients.up_bias));
  up.activation = call.adapter.activation;
  up.rows = dz.data;
  up.ldrows = dz.ld;
  up.row_scale = 1;
  up.z = z.data;
  up.ldz = z.ld;
  if (error == cudaSuccess) error = run_grad(up, parts.column_slots, parts.row_slots, stream);

  if (error == cudaSuccess) {
    GradCall down = grad_call(call.v, false);
    down.stack.add(narrow(dz, nullptr, &gradients.down));
    down.rank_major = true;
    error = run_grad(down, parts.column_slots, nullptr, stream);
  }
  if (error == cudaSuccess) {
    GradCall bias = grad_call(dz, false);
    bias.stack.add(ones(gradients.down_bias));
    error = run_grad(bias, parts.column_slots, nullptr, stream);
  }
  if (error == cudaSuccess && call.dv != nullptr) {
    UpCall input = up_call(*call.dv, false);
    input.stack.add(narrow(dz, &call.adapter.down, nullptr));
    input.rank_major = true;
    error = run_up(input, nullptr, stream);
  }
  return to_status(error, "pp_adapter_backward");
}
}  // namespace prunepeft::cuda
