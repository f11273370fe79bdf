// A CUDA device's properties, for the choice of a path.
#pragma once

#include "linear/cuda/path_choice.h"

namespace prunepeft::cuda {
/** Asks the driver, once for each device: it asks the device for its clocks, a matter of milliseconds. */
pp_status read_rates(int32_t device_index, DeviceRates* rates);
}  // namespace prunepeft::cuda
