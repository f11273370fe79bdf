// Entry points of prunepeft/decoder.h: arguments are checked here.
#include "prunepeft/decoder.h"

#include "core/arguments.h"
#include "cuda/availability.h"
#include "decoder/cpu/decoder_cpu.h"
#include "decoder/cuda/decoder_cuda.h"

namespace prunepeft {
namespace {

constexpr auto kAny = Arguments::kAny;

/** Where an output is the buffer of an input, their rows have to be the same. */
void check_in_place(Arguments& arguments, const char* name, const pp_matrix* matrix, const char* other_name,
                    const pp_matrix* other) {
  if (arguments.failed() || matrix->rows == 0 || matrix->data != other->data) return;
  arguments.require(matrix->ld == other->ld, "%s.ld must be %s.ld = %lld where they are one buffer, got %lld", name, other_name,
                    static_cast<long long>(other->ld), static_cast<long long>(matrix->ld));
}

/** The norm of rows x. True if all is well so far. */
bool check_norm(Arguments& arguments, const pp_context* context, const pp_rms_norm* norm, const pp_matrix* x) {
  if (!arguments.first(context, "x", x)) return false;
  arguments.not_null("norm", norm);
  if (arguments.failed() || !arguments.matrix("norm->weight", &norm->weight, x->dtype, 1, kAny)) return false;
  arguments.require(norm->epsilon > 0, "norm->epsilon must be above 0, got %g", static_cast<double>(norm->epsilon));
  arguments.require(norm->adds_one == 0 || norm->adds_one == 1, "norm->adds_one must be 0 or 1, got %d",
                    static_cast<int>(norm->adds_one));
  arguments.require(x->cols % norm->weight.cols == 0, "x.cols must be a multiple of the weight's %lld columns, got %lld",
                    static_cast<long long>(norm->weight.cols), static_cast<long long>(x->cols));
  return !arguments.failed();
}

/** The gate, and two matrices of which one is twice as wide. */
bool check_gate(Arguments& arguments, const pp_context* context, pp_gate gate, const char* name, const pp_matrix* narrow,
                const pp_matrix* gate_up) {
  if (!arguments.first(context, name, narrow)) return false;
  arguments.require(gate == PP_SWIGLU || gate == PP_GEGLU || gate == PP_GEGLU_TANH,
                    "gate must be 0 (SwiGLU), 1 (GEGLU) or 2 (GEGLU by tanh), got %d", static_cast<int>(gate));
  return !arguments.failed() && arguments.matrix("gate_up", gate_up, narrow->dtype, narrow->rows, 2 * narrow->cols);
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_rms_norm_forward(const pp_context* context, const pp_rms_norm* norm, const pp_matrix* x, const pp_matrix* y,
                              const pp_matrix* scales) {
  Arguments arguments;
  if (!check_norm(arguments, context, norm, x)) return arguments.status();
  arguments.matrix("y", y, x->dtype, x->rows, x->cols);
  if (scales != nullptr) arguments.matrix("scales", scales, PP_FLOAT32, x->rows, x->cols / norm->weight.cols);
  check_in_place(arguments, "y", y, "x", x);
  if (arguments.failed()) return arguments.status();
  const pp_status status = check_trainable(&context->device, x->dtype);
  if (status != PP_OK || x->rows == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) return cuda::rms_norm_forward(context->device, *norm, *x, *y, scales);
  }
  decoder_cpu(x->dtype).rms_norm_forward(*norm, *x, *y, scales);
  return PP_OK;
}

pp_status pp_rms_norm_backward(const pp_context* context, const pp_rms_norm* norm, const pp_matrix* dy, const pp_matrix* x,
                               const pp_matrix* scales, const pp_matrix* dx) {
  Arguments arguments;
  if (!check_norm(arguments, context, norm, x)) return arguments.status();
  arguments.matrix("dy", dy, x->dtype, x->rows, x->cols);
  arguments.matrix("scales", scales, PP_FLOAT32, x->rows, x->cols / norm->weight.cols);
  arguments.matrix("dx", dx, x->dtype, x->rows, x->cols);
  check_in_place(arguments, "dx", dx, "dy", dy);
  if (!arguments.failed() && x->rows > 0) arguments.distinct("dx", dx->data, "x", x->data);
  if (arguments.failed()) return arguments.status();
  const pp_status status = check_trainable(&context->device, x->dtype);
  if (status != PP_OK || x->rows == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) return cuda::rms_norm_backward(context->device, *norm, *dy, *x, *scales, *dx);
  }
  decoder_cpu(x->dtype).rms_norm_backward(*norm, *dy, *x, *scales, *dx);
  return PP_OK;
}

pp_status pp_rotate(const pp_context* context, const pp_rotary* rotary, const pp_matrix* x, const pp_matrix* y) {
  Arguments arguments;
  if (!arguments.first(context, "x", x)) return arguments.status();
  arguments.not_null("rotary", rotary);
  if (arguments.failed()) return arguments.status();
  const pp_rotary& r = *rotary;
  arguments.at_least("rotary->sequences", r.sequences, 0);
  arguments.at_least("rotary->tokens", r.tokens, 1);
  arguments.at_least("rotary->heads", r.heads, 0);
  arguments.at_least("rotary->head_size", r.head_size, 1);
  arguments.at_least("rotary->past", r.past, 0);
  arguments.at_most("rotary->past", r.past, kMostBytes);
  arguments.require(r.backward == 0 || r.backward == 1, "rotary->backward must be 0 or 1, got %d",
                    static_cast<int>(r.backward));
  if (!arguments.matrix("rotary->cosines", &r.cosines, PP_FLOAT32, kAny, kAny) ||
      !arguments.matrix("rotary->sines", &r.sines, PP_FLOAT32, r.cosines.rows, r.cosines.cols))
    return arguments.status();
  arguments.at_least("rotary->cosines.rows", r.cosines.rows, 1);
  arguments.at_most("rotary->cosines.cols", r.cosines.cols, r.head_size / 2);
  int64_t rows = 0, columns = 0;
  arguments.require(!__builtin_mul_overflow(r.sequences, r.tokens, &rows) && x->rows == rows,
                    "x must have rows for %lld sequences of %lld tokens, got %lld", static_cast<long long>(r.sequences),
                    static_cast<long long>(r.tokens), static_cast<long long>(x->rows));
  arguments.require(!__builtin_mul_overflow(r.heads, r.head_size, &columns) && columns <= x->cols,
                    "x must have columns for %lld heads of %lld, got %lld", static_cast<long long>(r.heads),
                    static_cast<long long>(r.head_size), static_cast<long long>(x->cols));
  arguments.require(context->device.type == PP_CPU || reinterpret_cast<uintptr_t>(r.starts) % alignof(int32_t) == 0,
                    "rotary->starts must be at a multiple of 4 bytes, got %p", static_cast<const void*>(r.starts));
  arguments.matrix("y", y, x->dtype, x->rows, x->cols);
  check_in_place(arguments, "y", y, "x", x);
  if (arguments.failed()) return arguments.status();
  const pp_status status = check_trainable(&context->device, x->dtype);
  if (status != PP_OK || x->rows == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) return cuda::rotate(context->device, *rotary, *x, *y);
  }
  decoder_cpu(x->dtype).rotate(*rotary, *x, *y);
  return PP_OK;
}

pp_status pp_gate_forward(const pp_context* context, pp_gate gate, const pp_matrix* gate_up, const pp_matrix* out) {
  Arguments arguments;
  if (!check_gate(arguments, context, gate, "out", out, gate_up)) return arguments.status();
  if (out->rows > 0) arguments.distinct("out", out->data, "gate_up", gate_up->data);
  if (arguments.failed()) return arguments.status();
  const pp_status status = check_trainable(&context->device, out->dtype);
  if (status != PP_OK || out->rows == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) return cuda::gate_forward(context->device, gate, *gate_up, *out);
  }
  decoder_cpu(out->dtype).gate_forward(gate, *gate_up, *out);
  return PP_OK;
}

pp_status pp_gate_backward(const pp_context* context, pp_gate gate, const pp_matrix* dout, const pp_matrix* gate_up,
                           const pp_matrix* dgate_up) {
  Arguments arguments;
  if (!check_gate(arguments, context, gate, "dout", dout, gate_up)) return arguments.status();
  arguments.matrix("dgate_up", dgate_up, dout->dtype, gate_up->rows, gate_up->cols);
  check_in_place(arguments, "dgate_up", dgate_up, "gate_up", gate_up);
  if (!arguments.failed() && dout->rows > 0) arguments.distinct("dgate_up", dgate_up->data, "dout", dout->data);
  if (arguments.failed()) return arguments.status();
  const pp_status status = check_trainable(&context->device, dout->dtype);
  if (status != PP_OK || dout->rows == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) return cuda::gate_backward(context->device, gate, *dout, *gate_up, *dgate_up);
  }
  decoder_cpu(dout->dtype).gate_backward(gate, *dout, *gate_up, *dgate_up);
  return PP_OK;
}
