#include "core/status.h"

#include <cstdarg>
#include <cstdio>

namespace pp {
namespace {

// Fixed storage: reporting an error never allocates.
thread_local char last_error[512] = "";

}  // namespace

pp_status fail(pp_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace pp

extern "C" {

const char* pp_last_error(void) {
  return pp::last_error;
}

const char* pp_version(void) {
  return PP_VERSION;
}
}
