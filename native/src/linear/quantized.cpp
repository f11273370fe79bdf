// Entry points of quantised weights: arguments are checked here, once for all devices.
#include "linear/quantized.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "core/status.h"
#include "cuda/availability.h"
#include "linear/cpu/quantizer_cpu.h"
#include "linear/cuda/quantized_cuda.h"

namespace prunepeft {
namespace {

/** The 16 values of 4-bit NormalFloat (QLoRA, appendix E). */
constexpr float kNf4[kCodes] = {-1.0f,
                                -0.6961928009986877f,
                                -0.5250730514526367f,
                                -0.39491748809814453f,
                                -0.28444138169288635f,
                                -0.18477343022823334f,
                                -0.09105003625154495f,
                                0.0f,
                                0.07958029955625534f,
                                0.16093020141124725f,
                                0.24611230194568634f,
                                0.33791524171829224f,
                                0.44070982933044434f,
                                0.5626170039176941f,
                                0.7229568362236023f,
                                1.0f};

void check_rising(Arguments& arguments, const float* table) {
  for (int code = 0; code + 1 < kCodes; ++code) {
    arguments.require(table[code] < table[code + 1], "to->table must rise, got %g at %d and %g at %d",
                      static_cast<double>(table[code]), code, static_cast<double>(table[code + 1]), code + 1);
  }
}

}  // namespace

bool check_quantized(Arguments& arguments, const char* name, const pp_quantized* matrix, const pp_device& device) {
  arguments.not_null(name, matrix);
  if (arguments.failed()) return false;
  const pp_quantized& m = *matrix;
  arguments.require(m.type == PP_INT8 || m.type == PP_NF4, "%s->type must be 0 (int8) or 1 (NF4), got %d", name,
                    static_cast<int>(m.type));
  const auto extent = [&](const char* field, int64_t value) {
    arguments.require(value >= 1, "%s->%s must be at least 1, got %" PRId64, name, field, value);
  };
  extent("rows", m.rows);
  extent("cols", m.cols);
  int64_t elements;
  arguments.require(!__builtin_mul_overflow(m.rows, m.cols, &elements) && elements <= kMostBytes,
                    "%s of %" PRId64 " x %" PRId64 " has more bytes than memory", name, m.rows, m.cols);
  arguments.require(m.codes != nullptr, "%s->codes must not be null", name);
  arguments.require(m.scales != nullptr, "%s->scales must not be null", name);
  arguments.require(device.type == PP_CPU || reinterpret_cast<uintptr_t>(m.scales) % alignof(float) == 0,
                    "%s->scales must be at a multiple of 4 bytes, got %p", name, static_cast<const void*>(m.scales));
  arguments.require(m.type == PP_INT8 || (m.block >= kLeastBlock && m.block <= kMostBlock && (m.block & (m.block - 1)) == 0),
                    "%s->block must be a power of two in [%" PRId64 ", %" PRId64 "], got %" PRId64, name, kLeastBlock,
                    kMostBlock, m.block);
  return !arguments.failed();
}

Decoding decoding_of(const pp_quantized& matrix) {
  Decoding decoding = {};
  decoding.used = true;
  decoding.type = matrix.type;
  decoding.scales = matrix.scales;
  if (matrix.type == PP_NF4) {
    std::memcpy(decoding.table, matrix.table != nullptr ? matrix.table : kNf4, sizeof decoding.table);
    decoding.block_shift = __builtin_ctzll(static_cast<unsigned long long>(matrix.block));
  }
  return decoding;
}

}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_quantize(const pp_context* context, const pp_matrix* w, const pp_quantized* to) {
  Arguments arguments;
  arguments.context(context);
  if (arguments.failed() || !check_quantized(arguments, "to", to, context->device)) return arguments.status();
  arguments.not_null("w", w);
  if (arguments.failed() || !arguments.matrix("w", w, w->dtype, to->rows, to->cols)) return arguments.status();
  const Decoding decoding = decoding_of(*to);
  if (to->type == PP_NF4) check_rising(arguments, decoding.table);
  if (arguments.failed()) return arguments.status();
  if (is_cuda(&context->device)) return fail(PP_UNSUPPORTED, "pp_quantize is for the CPU; quantise there, and copy");
  const pp_status supported = check_trainable(&context->device, w->dtype);
  if (supported != PP_OK) return supported;
  quantizer_cpu().quantize({*w, static_cast<uint8_t*>(to->codes), decoding});
  return PP_OK;
}

pp_status pp_dequantize(const pp_context* context, const pp_quantized* w, const pp_matrix* to) {
  Arguments arguments;
  arguments.context(context);
  if (arguments.failed() || !check_quantized(arguments, "w", w, context->device)) return arguments.status();
  arguments.not_null("to", to);
  if (arguments.failed() || !arguments.matrix("to", to, to->dtype, w->rows, w->cols)) return arguments.status();
  const pp_status supported = check_trainable(&context->device, to->dtype);
  if (supported != PP_OK) return supported;
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) return cuda::dequantize(context->device, w->codes, decoding_of(*w), *to);
  }
  quantizer_cpu().dequantize({*to, static_cast<uint8_t*>(w->codes), decoding_of(*w)});
  return PP_OK;
}
