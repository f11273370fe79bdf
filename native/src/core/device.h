// What every family asks of the device: checks, threads and the instruction set in use.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/status.h"
#include "prunepeft/device.h"

namespace pp {

/** PP_OK for a device whose work this build can run with this dtype; else a status with the reason. */
pp_status check_device(const pp_device* device, pp_dtype dtype);

/** Checks `workspace_bytes` against what the call needs. */
pp_status check_workspace(const char* function, const void* workspace, size_t workspace_bytes, size_t needed);

/**
 * Runs body(i) for i in [0, count) on the library's threads, or on this one if `flops` is too little to wake them. Which thread
 * runs which i is not fixed, so a result must not depend on it.
 */
template <class Body>
void parallel_for(int64_t count, double flops, const Body& body) {
  // Waking a sleeping thread costs some 10 microseconds: a million operations.
  constexpr double kWorthWaking = 2e6;
  const int64_t threads = flops < kWorthWaking ? 1 : std::min<int64_t>(pp_num_threads(), count);
  if (threads <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(threads))
  for (int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace pp
