// Errors inside the library: a status with a message for the calling thread.
#pragma once

#include "prunepeft/status.h"

namespace pp {

/** Keeps a printf-style message for pp_last_error() and returns `status`. */
__attribute__((format(printf, 2, 3))) pp_status fail(pp_status status, const char* format, ...);

}  // namespace pp

/** Returns PP_INVALID_ARGUMENT with the message (function name first) unless the condition holds. */
#define PP_REQUIRE(condition, format, ...)                                                            \
  do {                                                                                                \
    if (!(condition)) return ::pp::fail(PP_INVALID_ARGUMENT, "%s: " format, __func__, ##__VA_ARGS__); \
  } while (0)

/** Hands a failed status on. */
#define PP_TRY(call)                                   \
  do {                                                 \
    if (pp_status s_ = (call); s_ != PP_OK) return s_; \
  } while (0)
