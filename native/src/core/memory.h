// Memory of a device for the library's own objects.
#pragma once

#include "prunepeft/tensor.h"

namespace prunepeft {

/**
 * What pp_allocate gives for a device that has been checked, freed by pp_free. `release`: whether pp_release_memory may be
 * called where there is none.
 */
pp_status take_memory(const pp_device& device, size_t bytes, bool release, void** memory);

}  // namespace prunepeft
