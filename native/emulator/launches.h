// How many kernels the emulator has run.
#pragma once

#include <cstdint>

namespace simt {
uint64_t launches();
}  // namespace simt
