// Entry points of prunepeft/attention.h: arguments are checked here.
#include "prunepeft/attention.h"

#include <cmath>

#include "attention/cpu/attention_cpu.h"
#include "attention/extents.h"
#include "core/call.h"
#include "core/context.h"
#include "core/status.h"

namespace prunepeft {

AttentionExtents check_attention(Arguments& arguments, const pp_attention& a) {
  arguments.at_least("attention->sequences", a.sequences, 0);
  arguments.at_least("attention->tokens", a.tokens, 1);
  arguments.at_least("attention->heads", a.heads, 1);
  arguments.at_least("attention->head_size", a.head_size, 1);
  arguments.at_least("attention->key_heads", a.key_heads, 0);
  arguments.at_least("attention->window", a.window, 0);
  arguments.require(a.cap >= 0 && std::isfinite(a.cap), "attention->cap must be at least 0 and finite, got %g",
                    static_cast<double>(a.cap));
  arguments.require(std::isfinite(a.scale), "attention->scale must be finite, got %g", static_cast<double>(a.scale));
  arguments.require(a.causal == 0 || a.causal == 1, "attention->causal must be 0 or 1, got %d", static_cast<int>(a.causal));
  if (arguments.failed()) return {};
  arguments.require(a.heads % key_heads(a) == 0, "attention->key_heads must divide the %lld heads, got %lld",
                    static_cast<long long>(a.heads), static_cast<long long>(key_heads(a)));
  AttentionExtents extents;
  arguments.require(!__builtin_mul_overflow(a.heads, a.head_size, &extents.queries) && extents.queries <= INT64_MAX / 3,
                    "attention->heads times head_size is more than a row can have");
  arguments.require(!__builtin_mul_overflow(a.sequences, a.tokens, &extents.rows),
                    "attention->sequences times tokens is more than a matrix can have");
  if (arguments.failed()) return {};
  extents.keys = key_heads(a) * a.head_size;
  extents.all = extents.queries + 2 * extents.keys;
  return extents;
}

namespace {

/** What all calls check first. */
AttentionExtents check_extents(Arguments& arguments, const pp_context* context, const pp_attention* attention) {
  arguments.context(context);
  arguments.not_null("attention", attention);
  if (arguments.failed()) return {};
  return check_attention(arguments, *attention);
}

pp_status check_device(const pp_device& device, pp_dtype dtype) {
  if (device.type == PP_CUDA) {
    return fail(PP_UNSUPPORTED, "attention is not supported on CUDA; use a library's there");
  }
  return check_trainable(&device, dtype);
}

/** Scratch for the threads of so many items, and what these leave for a second phase. */
struct Floats {
  int64_t items, of_a_thread, parts, of_a_part;
};

pp_status take_floats(const pp_context& context, const Floats& floats, void** memory) {
  WorkspaceSize size;
  size.floats(floats.of_a_thread, scratch_threads(floats.items));
  size.floats(floats.of_a_part, floats.parts);
  return take_workspace(context, size.total(), memory);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_attention_forward(const pp_context* context, const pp_attention* attention, const pp_matrix* qkv,
                               const pp_matrix* values, float* log_sums) {
  Arguments arguments;
  const AttentionExtents extents = check_extents(arguments, context, attention);
  if (!arguments.failed()) arguments.not_null("qkv", qkv);
  if (arguments.failed() || !arguments.matrix("qkv", qkv, qkv->dtype, extents.rows, extents.all)) return arguments.status();
  arguments.matrix("values", values, qkv->dtype, extents.rows, extents.queries);
  if (extents.rows > 0) arguments.not_null("log_sums", log_sums);
  if (arguments.failed()) return arguments.status();
  pp_status status = check_device(context->device, qkv->dtype);
  if (status != PP_OK || extents.rows == 0) return status;
  void* memory;
  const HeadExtents head(*attention, attention->tokens);
  status = take_floats(*context, {attention->sequences * attention->heads, head.forward_floats(), 0, 0}, &memory);
  if (status == PP_OK) {
    const char* q = static_cast<const char*>(qkv->data);
    const int64_t size = static_cast<int64_t>(pp_dtype_size(qkv->dtype));
    const char* k = q + size * extents.queries;
    const char* v = k + size * extents.keys;
    attention_cpu(qkv->dtype)
        .forward({*attention,
                  attention->tokens,
                  attention->tokens,
                  {q, qkv->ld},
                  {k, qkv->ld},
                  {v, qkv->ld},
                  values->data,
                  values->ld,
                  log_sums,
                  memory});
  }
  return status;
}

pp_status pp_attention_backward(const pp_context* context, const pp_attention* attention, const pp_matrix* dvalues,
                                const pp_matrix* qkv, const float* log_sums, const pp_matrix* dqkv) {
  Arguments arguments;
  const AttentionExtents extents = check_extents(arguments, context, attention);
  if (!arguments.failed()) arguments.not_null("dvalues", dvalues);
  if (arguments.failed() || !arguments.matrix("dvalues", dvalues, dvalues->dtype, extents.rows, extents.queries))
    return arguments.status();
  arguments.matrix("qkv", qkv, dvalues->dtype, extents.rows, extents.all);
  arguments.matrix("dqkv", dqkv, dvalues->dtype, extents.rows, extents.all);
  if (extents.rows > 0) {
    arguments.not_null("log_sums", log_sums);
    if (!arguments.failed()) arguments.distinct("dqkv", dqkv->data, "qkv", qkv->data);
  }
  if (arguments.failed()) return arguments.status();
  pp_status status = check_device(context->device, dvalues->dtype);
  if (status != PP_OK || extents.rows == 0) return status;
  void* memory;
  const HeadExtents head(*attention, attention->tokens);
  const int64_t parts = gradient_parts(*attention), items = attention->sequences * key_heads(*attention) * parts;
  status = take_floats(*context, {items, head.backward_floats(parts), parts == 1 ? 0 : items, head.part_floats()}, &memory);
  if (status == PP_OK) {
    attention_cpu(dvalues->dtype)
        .backward({*attention, dvalues->data, dvalues->ld, qkv->data, qkv->ld, log_sums, dqkv->data, dqkv->ld, memory});
  }
  return status;
}

pp_status pp_attention_cached(const pp_context* context, const pp_attention* attention, int64_t key_count, const pp_matrix* q,
                              const pp_matrix* k, const pp_matrix* v, const pp_matrix* values) {
  Arguments arguments;
  const AttentionExtents extents = check_extents(arguments, context, attention);
  if (!arguments.failed()) arguments.not_null("q", q);
  if (arguments.failed() || !arguments.matrix("q", q, q->dtype, extents.rows, extents.queries)) return arguments.status();
  arguments.matrix("k", k, q->dtype, Arguments::kAny, extents.keys);
  if (arguments.failed()) return arguments.status();
  arguments.matrix("v", v, q->dtype, k->rows, extents.keys);
  arguments.matrix("values", values, q->dtype, extents.rows, extents.queries);
  if (arguments.failed()) return arguments.status();
  const int64_t sequences = attention->sequences;
  arguments.require(sequences == 0 ? k->rows == 0 : k->rows % sequences == 0,
                    "k must have as many rows for each of the %lld sequences, got %lld", static_cast<long long>(sequences),
                    static_cast<long long>(k->rows));
  arguments.at_least("key_count", key_count, attention->tokens);
  if (sequences > 0) arguments.at_most("key_count", key_count, k->rows / sequences);
  if (arguments.failed()) return arguments.status();
  pp_status status = check_device(context->device, q->dtype);
  if (status != PP_OK || extents.rows == 0) return status;
  void* memory;
  const HeadExtents head(*attention, key_count);
  const bool one = attention->tokens == 1;
  if (one) {
    const int64_t runs = key_runs(*attention, key_count), items = sequences * key_heads(*attention) * runs;
    const int64_t parts = runs == 1 ? 0 : items * head.group;
    status = take_floats(*context, {items, head.one_token_floats(), parts, head.run_floats()}, &memory);
  } else {
    status = take_floats(*context, {sequences * attention->heads, head.forward_floats(), 0, 0}, &memory);
  }
  if (status == PP_OK) {
    const AttentionKernels& kernels = attention_cpu(q->dtype);
    (one ? kernels.one_token : kernels.forward)({*attention,
                                                 key_count,
                                                 k->rows / sequences,
                                                 {q->data, q->ld},
                                                 {k->data, k->ld},
                                                 {v->data, v->ld},
                                                 values->data,
                                                 values->ld,
                                                 nullptr,
                                                 memory});
  }
  return status;
}
