// Entry points of prunepeft/attention.h: arguments are checked here.
#include "prunepeft/attention.h"

#include "attention/cpu/attention_cpu.h"
#include "core/arguments.h"
#include "core/context.h"
#include "core/status.h"
#include "prunepeft/device.h"

namespace prunepeft {
namespace {

struct Extents {
  int64_t rows = 0;
  int64_t columns = 0;
};

/** What both directions check first. */
Extents check_extents(Arguments& arguments, const pp_context* context, const pp_attention* attention) {
  arguments.context(context);
  arguments.not_null("attention", attention);
  if (arguments.failed()) return {};
  arguments.at_least("attention->sequences", attention->sequences, 0);
  arguments.at_least("attention->tokens", attention->tokens, 1);
  arguments.at_least("attention->heads", attention->heads, 1);
  arguments.at_least("attention->head_size", attention->head_size, 1);
  if (arguments.failed()) return {};
  Extents extents;
  arguments.require(
      !__builtin_mul_overflow(attention->heads, attention->head_size, &extents.columns) && extents.columns <= INT64_MAX / 3,
      "attention->heads times head_size is more than a row can have");
  arguments.require(!__builtin_mul_overflow(attention->sequences, attention->tokens, &extents.rows),
                    "attention->sequences times tokens is more than a matrix can have");
  return extents;
}

pp_status check_device(const pp_device& device, pp_dtype dtype) {
  if (device.type == PP_CUDA) {
    return fail(PP_UNSUPPORTED, "attention is not supported on CUDA; use a library's there");
  }
  return check_trainable(&device, dtype);
}

pp_status take_floats(const pp_context& context, int64_t floats_of_a_thread, void** memory) {
  WorkspaceSize size;
  size.floats(floats_of_a_thread, pp_num_threads());
  return take_workspace(context, size.total(), memory);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_attention_forward(const pp_context* context, const pp_attention* attention, const pp_matrix* qkv,
                               const pp_matrix* values, float* log_sums) {
  Arguments arguments;
  const Extents extents = check_extents(arguments, context, attention);
  if (!arguments.failed()) arguments.not_null("qkv", qkv);
  if (arguments.failed() || !arguments.matrix("qkv", qkv, qkv->dtype, extents.rows, 3 * extents.columns))
    return arguments.status();
  arguments.matrix("values", values, qkv->dtype, extents.rows, extents.columns);
  if (extents.rows > 0) arguments.not_null("log_sums", log_sums);
  if (arguments.failed()) return arguments.status();
  pp_status status = check_device(context->device, qkv->dtype);
  if (status != PP_OK || extents.rows == 0) return status;
  void* memory;
  status = take_floats(*context, HeadExtents(*attention).forward_floats(), &memory);
  if (status == PP_OK)
    attention_cpu(qkv->dtype).forward({*attention, qkv->data, qkv->ld, values->data, values->ld, log_sums, memory});
  return status;
}

pp_status pp_attention_backward(const pp_context* context, const pp_attention* attention, const pp_matrix* dvalues,
                                const pp_matrix* qkv, const float* log_sums, const pp_matrix* dqkv) {
  Arguments arguments;
  const Extents extents = check_extents(arguments, context, attention);
  if (!arguments.failed()) arguments.not_null("dvalues", dvalues);
  if (arguments.failed() || !arguments.matrix("dvalues", dvalues, dvalues->dtype, extents.rows, extents.columns))
    return arguments.status();
  arguments.matrix("qkv", qkv, dvalues->dtype, extents.rows, 3 * extents.columns);
  arguments.matrix("dqkv", dqkv, dvalues->dtype, extents.rows, 3 * extents.columns);
  if (extents.rows > 0) {
    arguments.not_null("log_sums", log_sums);
    if (!arguments.failed()) arguments.distinct("dqkv", dqkv->data, "qkv", qkv->data);
  }
  if (arguments.failed()) return arguments.status();
  pp_status status = check_device(context->device, dvalues->dtype);
  if (status != PP_OK || extents.rows == 0) return status;
  void* memory;
  status = take_floats(*context, HeadExtents(*attention).backward_floats(), &memory);
  if (status == PP_OK) {
    attention_cpu(dvalues->dtype)
        .backward({*attention, dvalues->data, dvalues->ld, qkv->data, qkv->ld, log_sums, dqkv->data, dqkv->ld, memory});
  }
  return status;
}
