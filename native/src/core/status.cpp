#include "core/status.h"

#include <cstdarg>
#include <cstdio>

namespace prunepeft {
namespace {

// A plain array: no destructor runs at thread exit, and nothing is allocated in a call that fails.
thread_local char last_error[512];

}  // namespace

pp_status fail(pp_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace prunepeft

const char* pp_last_error(void) {
  return prunepeft::last_error;
}

const char* pp_version(void) {
  return PRUNEPEFT_VERSION;
}
