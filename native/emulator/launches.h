// How many kernels the emulator has run. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace simt {
uint64_t launches();
}  // namespace simt
