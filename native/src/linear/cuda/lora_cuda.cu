// LoRA on CUDA: each function is one skinny product.
#include "linear/cuda/lora_cuda.h"

#include "cuda/device.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
namespace {
/** All branches, with `scale` times their own scale where they have one that matters. */
Stack make_stack(const LoraBranch* branches, int32_t count, float scale, bool own_scale) {
  Stack stack = {};
  for (int32_t i = 0; i < count; i++) {
    const LoraBranch& from = branches[i];
    Branch branch = {};
    branch.a = from.a;
    branch.lda = from.lda;
    branch.s = from.s;
    branch.lds = from.lds;
    branch.gradient = from.da;
    branch.ldg = from.ldda;
    branch.scale = own_scale ? scale * from.scale : scale;
    branch.module = from.module;
    branch.rank = static_cast<int32_t>(from.rank);
    stack.add(branch);
  }
  return stack;
}

/** One branch with S [M,r] and B [N,r]. */
Branch up_branch(int64_t r, const void* s, int64_t lds, const void* b, int64_t ldb) {
  Branch branch = {};
  branch.a = b;
  branch.lda = ldb;
  branch.s = const_cast<void*>(s);  // only read
  branch.lds = lds;
  branch.scale = 1;
  branch.rank = static_cast<int32_t>(r);
  return branch;
}
/** What is there is the base. */
void add_to_out(UpCall* call) {
  call->base = call->out;
  call->ldbase = call->ldout;
}
}  // namespace

size_t lora_down_workspace(int64_t M, int64_t K, int64_t ranks) {
  Workspace workspace(nullptr);
  workspace.take<float>(down_slots(M, K, ranks));
  return workspace.bytes();
}

pp_status lora_down(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                    const LoraBranch* branches, int32_t branch_count, const DropoutSpec& dropout, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const DownCall call = {dtype, M, K, x, ldx, make_stack(branches, branch_count, dropout.keep_scale, true), dropout, nullptr};
  float* slots = Workspace(workspace).take<float>(down_slots(M, K, call.stack.columns));
  return to_status(run_down(call, slots, stream_of(device)), "pp_lora_down");
}

pp_status lora_up(const pp_device& device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* s, int64_t lds,
                  const void* b, int64_t ldb, void* y, int64_t ldy, bool accumulate) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  UpCall call = {};
  call.dtype = dtype;
  call.M = M;
  call.N = N;
  call.stack.add(up_branch(r, s, lds, b, ldb));
  call.dropout = kNoDropout;
  call.out = y;
  call.ldout = ldy;
  if (accumulate) add_to_out(&call);
  return to_status(run_up(call, nullptr, stream_of(device)), "pp_lora_up");
}

size_t lora_grad_up_workspace(pp_dtype dtype, int64_t M, int64_t N, int64_t r) {
  Workspace workspace(nullptr);
  workspace.take<float>(grad_column_slots(dtype, M, N, r));
  workspace.take<float>(grad_row_slots(M, N, r));
  return workspace.bytes();
}

pp_status lora_grad_up(const pp_device& device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* dy, int64_t lddy,
                       const void* b, int64_t ldb, const void* s, int64_t lds, float scale, void* ds, int64_t ldds, float* db,
                       int64_t lddb, bool accumulate, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  Branch branch = up_branch(r, s, lds, b, ldb);
  branch.gradient = db;
  branch.ldg = lddb;
  GradCall call = {};
  call.dtype = dtype;
  call.M = M;
  call.N = N;
  call.g = dy;
  call.ldg = lddy;
  call.stack.add(branch);
  call.dropout = kNoDropout;
  call.accumulate = accumulate;
  call.rows = ds;
  call.ldrows = ldds;
  call.row_scale = scale;
  Workspace space(workspace);
  float* column_slots = space.take<float>(grad_column_slots(dtype, M, N, r));
  float* row_slots = space.take<float>(grad_row_slots(M, N, r));
  return to_status(run_grad(call, column_slots, row_slots, stream_of(device)), "pp_lora_grad_up");
}

size_t lora_grad_down_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t ranks) {
  Workspace workspace(nullptr);
  workspace.take<float>(grad_column_slots(dtype, M, K, ranks));
  return workspace.bytes();
}

pp_status lora_grad_down(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                         const LoraBranch* branches, int32_t branch_count, const DropoutSpec& dropout, bool accumulate,
                         void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  GradCall call = {};
  call.dtype = dtype;
  call.M = M;
  call.N = K;
  call.g = x;
  call.ldg = ldx;
  call.dropout = dropout;
  call.stack = make_stack(branches, branch_count, call.dropout.keep_scale, false);
  call.rank_major = true;
  call.accumulate = accumulate;
  float* slots = Workspace(workspace).take<float>(grad_column_slots(dtype, M, K, call.stack.columns));
  return to_status(run_grad(call, slots, nullptr, stream_of(device)), "pp_lora_grad_down");
}

pp_status lora_grad_input(const pp_device& device, pp_dtype dtype, int64_t M, int64_t K, const LoraBranch* branches,
                          int32_t branch_count, const DropoutSpec& dropout, void* dx, int64_t lddx, bool accumulate) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  UpCall call = {};
  call.dtype = dtype;
  call.M = M;
  call.N = K;
  call.stack = make_stack(branches, branch_count, 1.0f, false);
  call.rank_major = true;
  call.dropout = dropout;
  call.out = dx;
  call.ldout = lddx;
  if (accumulate) add_to_out(&call);
  return to_status(run_up(call, nullptr, stream_of(device)), "pp_lora_grad_input");
}
}  // namespace prunepeft::cuda
