// The extents of an attention, which its own calls and those of layers check.
#pragma once

#include "core/arguments.h"
#include "prunepeft/attention.h"

namespace prunepeft {

struct AttentionExtents {
  /** B·T. */
  int64_t rows = 0;
  /** Columns of Q, of K, and of Q, K and V side by side. */
  int64_t queries = 0, keys = 0, all = 0;
};

/** All zero where a check fails. */
AttentionExtents check_attention(Arguments& arguments, const pp_attention& attention);

}  // namespace prunepeft
