// Error reporting: a status and a message for the calling thread.
#pragma once

#include "prunepeft/status.h"

namespace prunepeft {

/** Keeps the message for pp_last_error() on this thread and returns `status`. */
[[gnu::format(printf, 2, 3)]] pp_status fail(pp_status status, const char* format, ...);

}  // namespace prunepeft
