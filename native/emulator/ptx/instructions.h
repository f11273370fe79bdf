// What instructions do. Those that the library's kernels have are known, others are refused by name.
//
// Arithmetic is IEEE's, without flushing of subnormals. ex2.approx is the power of two rounded to float32, its argument and
// result flushed; a product of 16 by 8 by 16 adds its sixteen products one after the other in float32, then its third operand.
#pragma once

#include "machine.h"

namespace ptx {
/** Fills in what follows from the instruction's text. */
void decode(Instruction* instruction);
}  // namespace ptx
