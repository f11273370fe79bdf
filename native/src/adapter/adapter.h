// The weights of an adapter, which its own calls and those of layers check.
#pragma once

#include "core/arguments.h"
#include "prunepeft/adapter.h"

namespace prunepeft {

/** The weights, whose extents are K's and m's; `dtype` is theirs. */
void check_adapter(Arguments& arguments, const pp_adapter* adapter, pp_dtype dtype, int64_t K, int64_t m);

}  // namespace prunepeft
