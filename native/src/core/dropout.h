// Dropout as callers name it, checked and turned into the mask that kernels draw.
#pragma once

#include "core/arguments.h"
#include "core/philox.h"
#include "prunepeft/linear.h"

namespace prunepeft {

/** Of a module with so many rows of K columns. Null is allowed: no dropout. */
void check_dropout(Arguments& arguments, const char* name, const pp_dropout* dropout, int64_t rows, int64_t K);

/** What CUDA kernels are given of a dropout that passed its checks. */
DropoutSpec make_spec(const pp_dropout* dropout);

/** The CPU's mask of it; reads the counter, if there is one, now. */
DropoutMask make_mask(const pp_dropout* dropout);

}  // namespace prunepeft
