// Memory that another library of the process can give back.
#pragma once

#include "prunepeft/memory.h"

namespace prunepeft::cuda {
void set_release_memory(pp_release_memory release);

/** What availability.h has by this name; without `release` pp_release_memory is not called. */
pp_status allocate(const pp_device& device, size_t bytes, bool release, void** memory);

/**
 * cudaMalloc on a device that is current; with `release` tried again where pp_release_memory gave some back, which may have
 * left another device current.
 */
pp_status allocate_current(const pp_device& device, size_t bytes, void** memory, const char* action, bool release = true);
}  // namespace prunepeft::cuda
