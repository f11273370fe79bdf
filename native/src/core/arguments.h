// Checks of arguments: the first that fails names the argument, its value and what would be right.
#pragma once

#include "core/call.h"
#include "core/handles.h"
#include "prunepeft/adapter.h"

namespace prunepeft {

/** 4 PiB: more memory than there is, and far from where sums and products of sizes overflow. */
constexpr int64_t kMostBytes = int64_t{1} << 52;

/**
 * Collects checks; only the first failure counts. Each function of the library has one; as long as it lives, the function's
 * call keeps its settings.
 */
class Arguments {
 public:
  static constexpr int64_t kAny = -1;

  /** The device is not null and of a known type, the dtype is known. */
  void target(const pp_device* device, pp_dtype dtype);
  /** The context is not null and its device of a known type. */
  void context(const pp_context* context);
  /**
   * A matrix [rows, cols] of a type, not null; it has memory unless it is empty. Its own extents count where `rows` or `cols`
   * is kAny. True if all is well so far.
   */
  bool matrix(const char* name, const pp_matrix* matrix, pp_dtype dtype, int64_t rows, int64_t cols);
  /** The context, and a matrix that gives the call's type and extents. True if all is well so far. */
  bool first(const pp_context* context, const char* name, const pp_matrix* matrix);
  void at_least(const char* name, int64_t value, int64_t least);
  void at_most(const char* name, int64_t value, int64_t most);
  void dtype(const char* name, pp_dtype value);
  void activation(const char* name, pp_activation value);
  void not_null(const char* name, const void* pointer);
  /** An object of this library that has not been freed. */
  void handle(const char* name, Handle kind, const void* object);
  /** On CUDA, where a load from another address ends the context, a pointer is a multiple of so many bytes. */
  void aligned(const char* name, const void* pointer, size_t bytes);
  /** Two buffers that must not be the same. */
  void distinct(const char* name, const void* pointer, const char* other_name, const void* other);

  /** Any other check, with a message of its own. */
  template <class... Values>
  void require(bool good, const char* format, Values... values);

  bool failed() const { return status_ != PP_OK; }
  pp_status status() const { return status_; }

 private:
  [[gnu::format(printf, 2, 3)]] void invalid(const char* format, ...);

  const Call call_;
  pp_status status_ = PP_OK;
  bool cuda_ = false;
};

template <class... Values>
void Arguments::require(bool good, const char* format, Values... values) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  if (!good) invalid(format, values...);
#pragma GCC diagnostic pop
}

/** PP_OK if this build runs `dtype` on the device, else the status and message that say what it can. */
pp_status check_supported(const pp_device* device, pp_dtype dtype);

/** The same for what a training step needs, which the CPU has in bfloat16 too. */
pp_status check_trainable(const pp_device* device, pp_dtype dtype);

/** The type of trained weights, and of what is as narrow as they, beside operands of `dtype`: float32 on the CPU. */
inline pp_dtype trained_dtype(const pp_device& device, pp_dtype dtype) {
  return device.type == PP_CPU ? PP_FLOAT32 : dtype;
}

/** "float32", "float16" or "bfloat16". */
const char* dtype_name(pp_dtype dtype);

}  // namespace prunepeft
