#include "core/amx.h"

// Defined where the compiler knows the instructions.
#if defined(PRUNEPEFT_AMX) && defined(__linux__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace prunepeft {
namespace {

/** CPUID leaf 7, EDX: AMX-BF16 and AMX-TILE. */
constexpr uint32_t kAmx = 1u << 22 | 1u << 24;
/** Of XCR0: the registers' configuration and contents. */
constexpr uint32_t kTileState = 1u << 17 | 1u << 18;
/** Linux allots the contents' 8 KB of a thread's state to a process that asked for them (5.16; asm/prctl.h). */
constexpr long kRequestPermission = 0x1023, kTileData = 18;

bool has_instructions() {
  uint32_t a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_OSXSAVE) != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         (d & kAmx) == kAmx;
}

/** Only where the processor has XGETBV, which OSXSAVE says. */
bool system_saves_tiles() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kTileState) == kTileState;
}

}  // namespace

bool may_use_amx() {
  return has_instructions() && system_saves_tiles() && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace prunepeft

#else

bool prunepeft::may_use_amx() {
  return false;
}

#endif
