// Memory that another library of the process can give back.
#pragma once

#include "prunepeft/memory.h"

namespace prunepeft::cuda {
void set_release_memory(pp_release_memory release);

/** cudaMalloc on a device that is current, tried again where pp_release_memory gave some back. */
pp_status allocate_current(const pp_device& device, size_t bytes, void** memory, const char* action);
}  // namespace prunepeft::cuda
