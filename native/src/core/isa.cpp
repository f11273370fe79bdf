#include <atomic>

#include "core/amx.h"
#include "core/status.h"
#include "prunepeft/device.h"

namespace {

pp_isa detect() {
#if defined(__x86_64__)
  // The builtins also ask whether the operating system saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) {
    if (!__builtin_cpu_supports("avx512bf16")) return PP_ISA_AVX512;
    return prunepeft::may_use_amx() ? PP_ISA_AMX : PP_ISA_AVX512_BF16;
  }
  if (avx2) return PP_ISA_AVX2;
#endif
  return PP_ISA_PORTABLE;
}

std::atomic<int>& chosen() {
  static std::atomic<int> isa{pp_cpu_isa_supported()};
  return isa;
}

}  // namespace

pp_isa pp_cpu_isa_supported(void) {
  static const pp_isa supported = detect();
  return supported;
}

pp_isa pp_cpu_isa(void) {
  return static_cast<pp_isa>(chosen().load(std::memory_order_relaxed));
}

pp_status pp_set_cpu_isa(pp_isa isa) {
  if (isa < PP_ISA_PORTABLE || isa > PP_ISA_AMX) {
    return prunepeft::fail(PP_INVALID_ARGUMENT,
                           "isa must be 0 (portable), 1 (avx2), 2 (avx512), 3 (avx512_bf16) or 4 (amx), got %d",
                           static_cast<int>(isa));
  }
  if (isa > pp_cpu_isa_supported()) {
    return prunepeft::fail(PP_UNSUPPORTED, "isa %s is not supported by this processor; the widest is %s", pp_isa_name(isa),
                           pp_isa_name(pp_cpu_isa_supported()));
  }
  chosen().store(isa, std::memory_order_relaxed);
  return PP_OK;
}

const char* pp_isa_name(pp_isa isa) {
  switch (isa) {
    case PP_ISA_PORTABLE:
      return "portable";
    case PP_ISA_AVX2:
      return "avx2";
    case PP_ISA_AVX512:
      return "avx512";
    case PP_ISA_AVX512_BF16:
      return "avx512_bf16";
    case PP_ISA_AMX:
      return "amx";
  }
  return "unknown";
}
