// libprunepeft with its CUDA code emulated, as a shared library: a device for tests of what lies above the C interface, on
// buffers of any allocator. SPDX-License-Identifier: Apache-2.0
#include "simt.h"

namespace {
[[gnu::constructor]] void admit_buffers() {
  simt::admit_host_memory();
}
}  // namespace
