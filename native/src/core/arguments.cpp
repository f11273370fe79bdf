#include "core/arguments.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "core/status.h"
#include "cuda/availability.h"

namespace prunepeft {

void Arguments::invalid(const char* format, ...) {
  if (failed()) return;
  char message[480];
  va_list values;
  va_start(values, format);
  std::vsnprintf(message, sizeof message, format, values);
  va_end(values);
  status_ = fail(PP_INVALID_ARGUMENT, "%s", message);
}

void Arguments::target(const pp_device* device, pp_dtype type) {
  if (device == nullptr) return invalid("device must not be null");
  if (device->type != PP_CPU && device->type != PP_CUDA) {
    return invalid("device->type must be 0 (PP_CPU) or 1 (PP_CUDA), got %d", static_cast<int>(device->type));
  }
  cuda_ = device->type == PP_CUDA;
  dtype("dtype", type);
}

void Arguments::at_least(const char* name, int64_t value, int64_t least) {
  if (value < least) invalid("%s must be at least %" PRId64 ", got %" PRId64, name, least, value);
}

void Arguments::at_most(const char* name, int64_t value, int64_t most) {
  if (value > most) invalid("%s must be at most %" PRId64 ", got %" PRId64, name, most, value);
}

void Arguments::dtype(const char* name, pp_dtype value) {
  if (pp_dtype_size(value) == 0) {
    invalid("%s must be 0 (float32), 1 (float16) or 2 (bfloat16), got %d", name, static_cast<int>(value));
  }
}

void Arguments::activation(const char* name, pp_activation value) {
  if (value != PP_IDENTITY && value != PP_RELU && value != PP_GELU && value != PP_SILU) {
    invalid("%s must be 0 (identity), 1 (ReLU), 2 (GELU) or 3 (SiLU), got %d", name, static_cast<int>(value));
  }
}

void Arguments::not_null(const char* name, const void* pointer) {
  if (pointer == nullptr) invalid("%s must not be null", name);
}

void Arguments::handle(const char* name, Handle kind, const void* object) {
  if (!failed()) status_ = check_handle(kind, name, object);
}

void Arguments::context(const pp_context* context) {
  if (context == nullptr) return invalid("context must not be null");
  target(&context->device, PP_FLOAT32);
}

bool Arguments::matrix(const char* name, const pp_matrix* matrix, pp_dtype type, int64_t rows, int64_t cols) {
  if (failed()) return false;
  if (matrix == nullptr) {
    invalid("%s must not be null", name);
    return false;
  }
  const pp_matrix& m = *matrix;
  char field[64];
  std::snprintf(field, sizeof field, "%s.dtype", name);
  dtype(field, m.dtype);
  if (failed()) return false;
  if (rows == kAny) rows = m.rows < 0 ? 0 : m.rows;
  if (cols == kAny) cols = m.cols < 1 ? 1 : m.cols;
  if (m.dtype != type || m.rows != rows || m.cols != cols) {
    invalid("%s must be %s [%" PRId64 ", %" PRId64 "], got %s [%" PRId64 ", %" PRId64 "]", name, dtype_name(type), rows, cols,
            dtype_name(m.dtype), m.rows, m.cols);
  } else if (m.ld < m.cols) {
    invalid("%s.ld must be at least the row's %" PRId64 " elements, got %" PRId64, name, m.cols, m.ld);
  } else if (m.rows > 0 && m.data == nullptr) {
    invalid("%s.data must not be null", name);
  } else {
    int64_t elements;
    if (__builtin_mul_overflow(m.rows > 0 ? m.rows : 1, m.ld, &elements) ||
        elements > kMostBytes / static_cast<int64_t>(pp_dtype_size(m.dtype)))
      invalid("%s of %" PRId64 " rows with leading dimension %" PRId64 " has more bytes than memory", name, m.rows, m.ld);
    std::snprintf(field, sizeof field, "%s.data", name);
    if (m.rows > 0) aligned(field, m.data, pp_dtype_size(m.dtype));
  }
  return !failed();
}

bool Arguments::first(const pp_context* context, const char* name, const pp_matrix* matrix) {
  this->context(context);
  not_null(name, matrix);
  return !failed() && this->matrix(name, matrix, matrix->dtype, kAny, kAny);
}

void Arguments::aligned(const char* name, const void* pointer, size_t bytes) {
  if (cuda_ && reinterpret_cast<uintptr_t>(pointer) % bytes != 0)
    invalid("%s must be a multiple of %zu on CUDA, got %p", name, bytes, pointer);
}

void Arguments::distinct(const char* name, const void* pointer, const char* other_name, const void* other) {
  if (pointer == other) invalid("%s must not be the buffer of %s, got %p for both", name, other_name, pointer);
}

pp_status check_supported(const pp_device* device, pp_dtype dtype) {
  if (device->type == PP_CUDA) {
    if constexpr (kCuda) return PP_OK;
    return fail(PP_NO_DEVICE, "device->type is PP_CUDA, but this build has no CUDA code; use PP_CPU");
  }
  if (dtype != PP_FLOAT32) {
    return fail(PP_UNSUPPORTED, "dtype %s is not supported on the CPU; use float32", dtype_name(dtype));
  }
  return PP_OK;
}

pp_status check_trainable(const pp_device* device, pp_dtype dtype) {
  if (device->type == PP_CUDA || dtype == PP_FLOAT32) return check_supported(device, dtype);
  if (dtype == PP_BFLOAT16) return PP_OK;
  return fail(PP_UNSUPPORTED, "dtype %s is not supported on the CPU; use float32 or bfloat16", dtype_name(dtype));
}

const char* dtype_name(pp_dtype dtype) {
  switch (dtype) {
    case PP_FLOAT32:
      return "float32";
    case PP_FLOAT16:
      return "float16";
    case PP_BFLOAT16:
      return "bfloat16";
  }
  return "unknown";
}

}  // namespace prunepeft
