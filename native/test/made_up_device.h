// A device that no one has, for rules of the host that depend on one.
#pragma once

#include "linear/cuda/path_choice.h"

namespace {
/** Large, of the compute capability, with a product rate and a bandwidth in the proportion of the real ones. */
inline prunepeft::cuda::DeviceRates device_of(int major, int minor, double bytes_a_clock) {
  const prunepeft::cuda::DeviceRates device = {major, minor, 100, 1500, bytes_a_clock * 100 * 1500, 227 * 1024, 50 << 20};
  return device;
}
}  // namespace
