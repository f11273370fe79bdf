// Reads device memory and keeps nothing of it, to see how fast that goes.
#pragma once

#include "device.h"

namespace gpu_check {
/** Enqueues it on the default stream; `blocks` of 256 threads share the memory, whose bytes are a multiple of 16. */
void read_memory(const Memory& memory, int blocks);
}  // namespace gpu_check
