// Adapters on CUDA, made of skinny products. Forward: z by a down product with bias, out by an up product that applies σ as it
// reads z and adds u and h as it writes. Backward: dz, dU and du from one read of dout; dD from one read of v; dd as column
// sums of dz; dv by an up product.
#include "adapter/cuda/adapter_cuda.h"

#include "cuda/device.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
namespace {
/** Parts of the backward pass's workspace; the column slots serve three products in turn. */
struct BackwardParts {
  char* dz;  // [M,m], of the call's dtype
  float* row_slots;
  float* column_slots;
  BackwardParts(pp_dtype dtype, int64_t M, int64_t K, int64_t m, Workspace& workspace)
      : dz(workspace.take<char>(M * m * static_cast<int64_t>(pp_dtype_size(dtype)))),
        row_slots(workspace.take<float>(grad_row_slots(M, K, m))),
        column_slots(workspace.take<float>(largest_column_slots(dtype, M, K, m))) {}

 private:
  static int64_t largest_column_slots(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
    const int64_t up = grad_column_slots(dtype, M, K, m + 1), bias = grad_column_slots(dtype, M, m, 1);
    return up > bias ? up : bias;
  }
};

Branch narrow(int64_t rank, const void* s, int64_t lds, const void* a, int64_t lda, float* gradient, int64_t ldg) {
  Branch branch = {};
  branch.a = a;
  branch.lda = lda;
  branch.s = const_cast<void*>(s);  // only the down product writes it
  branch.lds = lds;
  branch.gradient = gradient;
  branch.ldg = ldg;
  branch.scale = 1;
  branch.rank = static_cast<int32_t>(rank);
  return branch;
}

/** A branch whose gradient is the column sums. */
Branch ones(float* sums) {
  return narrow(1, nullptr, 0, nullptr, 0, sums, 1);
}

GradCall wide_gradient(pp_dtype dtype, int64_t M, int64_t N, const void* g, int64_t ldg, bool accumulate) {
  GradCall call = {};
  call.dtype = dtype;
  call.M = M;
  call.N = N;
  call.g = g;
  call.ldg = ldg;
  call.dropout = kNoDropout;
  call.accumulate = accumulate;
  return call;
}
}  // namespace

size_t adapter_forward_workspace(int64_t M, int64_t K, int64_t m) {
  Workspace workspace(nullptr);
  workspace.take<float>(down_slots(M, K, m));
  return workspace.bytes();
}

pp_status adapter_forward(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* v, int64_t ldv,
                          const void* h, int64_t ldh, const AdapterWeights& adapter, void* z, int64_t ldz, void* out,
                          int64_t ldout, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  DownCall down = {dtype, M, K, v, ldv, {}, kNoDropout, adapter.down_bias};
  down.stack.add(narrow(m, z, ldz, adapter.down, adapter.ldd, nullptr, 0));
  cudaError_t error = run_down(down, Workspace(workspace).take<float>(down_slots(M, K, m)), stream);
  if (error == cudaSuccess) {
    UpCall up = {};
    up.dtype = dtype;
    up.M = M;
    up.N = K;
    up.stack.add(narrow(m, z, ldz, adapter.up, adapter.ldu, nullptr, 0));
    up.activation = adapter.activation;
    up.dropout = kNoDropout;
    up.base = h;
    up.ldbase = ldh;
    up.bias = adapter.up_bias;
    up.out = out;
    up.ldout = ldout;
    error = run_up(up, nullptr, stream);
  }
  return to_status(error, "pp_adapter_forward");
}

size_t adapter_backward_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  Workspace workspace(nullptr);
  BackwardParts(dtype, M, K, m, workspace);
  return workspace.bytes();
}

pp_status adapter_backward(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* dout,
                           int64_t lddout, const void* v, int64_t ldv, const void* z, int64_t ldz,
                           const AdapterWeights& adapter, const AdapterGradients& gradients, bool accumulate, void* dv,
                           int64_t lddv, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const cudaStream_t stream = stream_of(device);
  Workspace space(workspace);
  const BackwardParts parts(dtype, M, K, m, space);

  GradCall up = wide_gradient(dtype, M, K, dout, lddout, accumulate);
  up.stack.add(narrow(m, z, ldz, adapter.up, adapter.ldu, gradients.up, gradients.ldu));
  up.stack.add(ones(gradients.up_bias));
  up.activation = adapter.activation;
  up.rows = parts.dz;
  up.ldrows = m;
  up.row_scale = 1;
  up.z = z;
  up.ldz = ldz;
  cudaError_t error = run_grad(up, parts.column_slots, parts.row_slots, stream);

  if (error == cudaSuccess) {
    GradCall down = wide_gradient(dtype, M, K, v, ldv, accumulate);
    down.stack.add(narrow(m, parts.dz, m, nullptr, 0, gradients.down, gradients.ldd));
    down.rank_major = true;
    error = run_grad(down, parts.column_slots, nullptr, stream);
  }
  if (error == cudaSuccess) {
    GradCall bias = wide_gradient(dtype, M, m, parts.dz, m, accumulate);
    bias.stack.add(ones(gradients.down_bias));
    error = run_grad(bias, parts.column_slots, nullptr, stream);
  }
  if (error == cudaSuccess && dv != nullptr) {
    UpCall input = {};
    input.dtype = dtype;
    input.M = M;
    input.N = K;
    input.stack.add(narrow(m, parts.dz, m, adapter.down, adapter.ldd, nullptr, 0));
    input.rank_major = true;
    input.dropout = kNoDropout;
    input.out = dv;
    input.ldout = lddv;
    error = run_up(input, nullptr, stream);
  }
  return to_status(error, "pp_adapter_backward");
}
}  // namespace prunepeft::cuda
