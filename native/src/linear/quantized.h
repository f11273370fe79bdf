// What the entry points of quantised weights share.
#pragma once

#include "core/arguments.h"
#include "linear/plan.h"

namespace prunepeft {

/** Checks a quantised matrix for a device. True if all is well so far. */
bool check_quantized(Arguments& arguments, const char* name, const pp_quantized* matrix, const pp_device& device);

/** How a matrix that has been checked is decoded: its scales, and a copy of its table. */
Decoding decoding_of(const pp_quantized& matrix);

}  // namespace prunepeft
