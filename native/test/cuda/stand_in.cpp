// libprunepeft with its CUDA code emulated, as a shared library: a device for tests of what lies above the C interface, on
// buffers of any allocator. PRUNEPEFT_EMULATED_DRIVER (as 12040), PRUNEPEFT_EMULATED_DEVICES and PRUNEPEFT_EMULATED_CAPABILITY
// (its first number) in the environment make it another machine.
#include <cstdlib>

#include "simt.h"

namespace {
void set_from(const char* variable, void (*set)(int)) {
  if (const char* value = getenv(variable)) set(atoi(value));
}

[[gnu::constructor]] void admit_buffers() {
  simt::admit_host_memory();
  set_from("PRUNEPEFT_EMULATED_DRIVER", simt::set_driver_version);
  set_from("PRUNEPEFT_EMULATED_DEVICES", simt::set_device_count);
  set_from("PRUNEPEFT_EMULATED_CAPABILITY", simt::set_compute_major);
}
}  // namespace
