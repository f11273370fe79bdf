// Attention's door: arguments are checked here.
#include "prunepeft/attention.h"

#include "attention/attention_cpu.h"
#include "core/arguments.h"
#include "core/status.h"

namespace prunepeft {
namespace {

bool sound(const pp_device* device, pp_dtype dtype, const pp_attention* attention) {
  return device != nullptr && device->type == PP_CPU && (dtype == PP_FLOAT32 || dtype == PP_BFLOAT16) && attention != nullptr &&
         attention->sequences > 0 && attention->tokens > 0 && attention->heads > 0 && attention->head_size > 0;
}

size_t workspace_of(int64_t floats_of_a_thread) {
  WorkspaceSize size;
  size.floats(floats_of_a_thread, pp_num_threads());
  return size.total();
}

/** What both directions check first; returns the columns of the context. */
int64_t check_extents(Arguments& arguments, const pp_device* device, pp_dtype dtype, const pp_attention* attention) {
  arguments.target(device, dtype);
  arguments.not_null("attention", attention);
  if (arguments.failed()) return 0;
  arguments.at_least("attention->sequences", attention->sequences, 0);
  arguments.at_least("attention->tokens", attention->tokens, 1);
  arguments.at_least("attention->heads", attention->heads, 1);
  arguments.at_least("attention->head_size", attention->head_size, 1);
  int64_t columns = 0;
  if (!arguments.failed()) {
    arguments.require(!__builtin_mul_overflow(3 * attention->heads, attention->head_size, &columns),
                      "attention->heads times head_size is more than a row can have");
  }
  return columns / 3;
}

pp_status check_device(const pp_device* device, pp_dtype dtype) {
  if (device->type == PP_CUDA) {
    return fail(PP_UNSUPPORTED, "attention is not supported on CUDA; use a library's there");
  }
  return check_trainable(device, dtype);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

size_t pp_attention_forward_workspace(const pp_device* device, pp_dtype dtype, const pp_attention* attention) {
  return sound(device, dtype, attention) ? workspace_of(HeadExtents(*attention).forward_floats()) : 0;
}

pp_status pp_attention_forward(const pp_device* device, pp_dtype dtype, const pp_attention* attention, const void* qkv,
                               int64_t ldqkv, void* context, int64_t ldcontext, float* log_sums, void* workspace,
                               size_t workspace_bytes) {
  Arguments arguments;
  const int64_t columns = check_extents(arguments, device, dtype, attention);
  if (arguments.failed()) return arguments.status();
  arguments.leading("ldqkv", ldqkv, 3 * columns);
  arguments.leading("ldcontext", ldcontext, columns);
  if (attention->sequences > 0) {
    arguments.not_null("qkv", qkv);
    arguments.not_null("context", context);
    arguments.not_null("log_sums", log_sums);
  }
  arguments.workspace(workspace, workspace_bytes, pp_attention_forward_workspace(device, dtype, attention));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_device(device, dtype);
  if (supported != PP_OK || attention->sequences == 0) return supported;
  attention_cpu(dtype).forward({*attention, qkv, ldqkv, context, ldcontext, log_sums, workspace});
  return PP_OK;
}

size_t pp_attention_backward_workspace(const pp_device* device, pp_dtype dtype, const pp_attention* attention) {
  return sound(device, dtype, attention) ? workspace_of(HeadExtents(*attention).backward_floats()) : 0;
}

pp_status pp_attention_backward(const pp_device* device, pp_dtype dtype, const pp_attention* attention, const void* dcontext,
                                int64_t lddcontext, const void* qkv, int64_t ldqkv, const float* log_sums, void* dqkv,
                                int64_t lddqkv, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  const int64_t columns = check_extents(arguments, device, dtype, attention);
  if (arguments.failed()) return arguments.status();
  arguments.leading("lddcontext", lddcontext, columns);
  arguments.leading("ldqkv", ldqkv, 3 * columns);
  arguments.leading("lddqkv", lddqkv, 3 * columns);
  if (attention->sequences > 0) {
    arguments.not_null("dcontext", dcontext);
    arguments.not_null("qkv", qkv);
    arguments.not_null("log_sums", log_sums);
    arguments.not_null("dqkv", dqkv);
    arguments.distinct("dqkv", dqkv, "qkv", qkv);
  }
  arguments.workspace(workspace, workspace_bytes, pp_attention_backward_workspace(device, dtype, attention));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_device(device, dtype);
  if (supported != PP_OK || attention->sequences == 0) return supported;
  attention_cpu(dtype).backward({*attention, dcontext, lddcontext, qkv, ldqkv, log_sums, dqkv, lddqkv, workspace});
  return PP_OK;
}
