// LoRA on CUDA: each function is one skinny product.
#include "linear/cuda/lora_cuda.h"

#include "core/dropout.h"
#include "cuda/device.h"
#include "linear/cuda/module_stack.h"

namespace prunepeft::cuda {
namespace {
/** S [M,r] and B [N,r] in the place of a product's operands. */
StackedModule up_module(const LoraModule& from) {
  StackedModule module = {};
  module.a = from.b;
  module.lda = from.ldb;
  module.s = from.s;
  module.lds = from.lds;
  module.gradient = from.db;
  module.ldg = from.lddb;
  module.scale = 1;
  module.rank = static_cast<int32_t>(from.rank);
  return module;
}

GradSlots grad_up_slots(const pp_matrix& dy, const LoraModule& module) {
  return grad_slots(dy.dtype, dy.rows, dy.cols, module.rank, module.ds != nullptr ? module.rank : 0);
}
}  // namespace

size_t lora_down_workspace(const pp_matrix& x, int64_t ranks) {
  Workspace workspace(nullptr);
  workspace.take<float>(down_slots(x.rows, x.cols, ranks));
  return workspace.bytes();
}

pp_status lora_down(const pp_device& device, const pp_matrix& x, const LoraModule* modules, int32_t count, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const DropoutSpec dropout = make_spec(modules[0].dropout);
  const Stack stack = make_stack(modules, count, dropout.keep_scale, true);
  float* slots = Workspace(workspace).take<float>(down_slots(x.rows, x.cols, stack.columns));
  const DownCall call = {x.dtype, x.rows, x.cols, x.data, x.ld, stack, dropout, nullptr, PP_IDENTITY, nullptr};
  return to_status(run_down(call, slots, stream_of(device)), "pp_lora_down");
}

pp_status lora_up(const pp_device& device, const LoraModule& module, const pp_matrix& y, bool accumulate) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  UpCall call = up_call(y, accumulate);
  call.stack.add(up_module(module));
  return to_status(run_up(call, nullptr, stream_of(device)), "pp_lora_up");
}

size_t lora_grad_up_workspace(const pp_matrix& dy, const LoraModule& module) {
  Workspace workspace(nullptr);
  const GradSlots slots = grad_up_slots(dy, module);
  workspace.take<float>(slots.columns);
  workspace.take<float>(slots.rows);
  return workspace.bytes();
}

pp_status lora_grad_up(const pp_device& device, const pp_matrix& dy, const LoraModule& module, bool accumulate,
                       void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  GradCall call = grad_call(dy, accumulate);
  call.stack.add(up_module(module));
  call.rows = module.ds;
  call.ldrows = module.ldds;
  call.row_scale = module.scale;
  Workspace space(workspace);
  const GradSlots slots = grad_up_slots(dy, module);
  float* column_slots = space.take<float>(slots.columns);
  float* row_slots = space.take<float>(slots.rows);
  return to_status(run_grad(call, column_slots, row_slots, stream_of(device)), "pp_lora_grad_up");
}

size_t lora_grad_down_workspace(const pp_matrix& x, int64_t ranks) {
  Workspace workspace(nullptr);
  workspace.take<float>(grad_slots(x.dtype, x.rows, x.cols, ranks, 0).columns);
  return workspace.bytes();
}

pp_status lora_grad_down(const pp_device& device, const pp_matrix& x, const LoraModule* modules, int32_t count, bool accumulate,
                         void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  GradCall call = grad_call(x, accumulate);
  call.dropout = make_spec(modules[0].dropout);
  call.stack = make_stack(modules, count, call.dropout.keep_scale, false);
  call.rank_major = true;
  float* slots = Workspace(workspace).take<float>(grad_slots(x.dtype, x.rows, x.cols, call.stack.columns, 0).columns);
  return to_status(run_grad(call, slots, nullptr, stream_of(device)), "pp_lora_grad_down");
}

pp_status lora_grad_input(const pp_device& device, const LoraModule* modules, int32_t count, const pp_matrix& dx,
                          bool accumulate) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  UpCall call = up_call(dx, accumulate);
  call.stack = make_stack(modules, count, 1.0f, false);
  call.rank_major = true;
  call.dropout = make_spec(modules[0].dropout);
  return to_status(run_up(call, nullptr, stream_of(device)), "pp_lora_grad_input");
}
}  // namespace prunepeft::cuda
