// What a call keeps while it runs: the number of threads and the instruction set, which any thread of the process may change
// meanwhile. A call sizes scratch memory by the number, and has one copy of the kernels for all of its steps.
#pragma once

#include <stdint.h>

#include "prunepeft/device.h"

namespace prunepeft {

/** A call of the library, while it runs: the outermost of a thread takes both settings, those within it have the same. */
class Call {
 public:
  Call();
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

/** How many threads the calling thread's call uses; outside of one, the next. */
int64_t call_threads();

/** The instruction set likewise. */
pp_isa call_isa();

}  // namespace prunepeft
