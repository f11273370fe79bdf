#include "core/device.h"

#include <sched.h>

#include <atomic>

namespace pp {
namespace {

int32_t processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

pp_isa widest_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return PP_ISA_AVX512;
  }
  if (avx2) return PP_ISA_AVX2;
#endif
  return PP_ISA_PORTABLE;
}

std::atomic<int32_t>& threads() {
  static std::atomic<int32_t> value{processors()};
  return value;
}

std::atomic<int>& isa() {
  static std::atomic<int> value{widest_isa()};
  return value;
}

}  // namespace

pp_status check_device(const pp_device* device, pp_dtype dtype) {
  if (device == nullptr) return fail(PP_INVALID_ARGUMENT, "device must not be null");
  if (pp_dtype_size(dtype) == 0) return fail(PP_INVALID_ARGUMENT, "dtype must be 0, 1 or 2, got %d", static_cast<int>(dtype));
  if (device->type == PP_CUDA) return fail(PP_NO_DEVICE, "this build has no CUDA kernels; use PP_CPU");
  if (device->type != PP_CPU)
    return fail(PP_INVALID_ARGUMENT, "device type must be 0 or 1, got %d", static_cast<int>(device->type));
  if (dtype != PP_FLOAT32)
    return fail(PP_UNSUPPORTED, "the CPU kernels take float32 only, got dtype %d", static_cast<int>(dtype));
  return PP_OK;
}

pp_status check_workspace(const char* function, const void* workspace, size_t workspace_bytes, size_t needed) {
  if (workspace_bytes < needed || (workspace == nullptr && needed > 0)) {
    return fail(PP_INVALID_ARGUMENT, "%s: workspace must have at least %zu bytes, got %zu%s", function, needed, workspace_bytes,
                workspace == nullptr ? " at a null pointer" : "");
  }
  return PP_OK;
}

}  // namespace pp

extern "C" {

pp_status pp_device_count(pp_device_type type, int32_t* count) {
  PP_REQUIRE(count != nullptr, "count must not be null");
  PP_REQUIRE(type == PP_CPU || type == PP_CUDA, "type must be 0 or 1, got %d", static_cast<int>(type));
  *count = type == PP_CPU ? 1 : 0;
  if (type == PP_CUDA) pp::fail(PP_NO_DEVICE, "this build has no CUDA kernels");
  return PP_OK;
}

pp_status pp_set_num_threads(int32_t threads) {
  PP_REQUIRE(threads >= 1, "threads must be at least 1, got %d", threads);
  pp::threads() = threads;
  return PP_OK;
}

int32_t pp_num_threads(void) {
  return pp::threads();
}

pp_isa pp_cpu_isa_supported(void) {
  static const pp_isa widest = pp::widest_isa();
  return widest;
}

pp_isa pp_cpu_isa(void) {
  return static_cast<pp_isa>(pp::isa().load());
}

pp_status pp_set_cpu_isa(pp_isa isa) {
  PP_REQUIRE(isa >= PP_ISA_PORTABLE && isa <= PP_ISA_AVX512, "isa must be 0, 1 or 2, got %d", static_cast<int>(isa));
  if (isa > pp_cpu_isa_supported()) {
    return pp::fail(PP_UNSUPPORTED, "pp_set_cpu_isa: this processor has %s at most, got %s",
                    pp_isa_name(pp_cpu_isa_supported()), pp_isa_name(isa));
  }
  pp::isa() = isa;
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
  }
  return "unknown";
}

size_t pp_dtype_size(pp_dtype dtype) {
  switch (dtype) {
    case PP_FLOAT32:
      return 4;
    case PP_FLOAT16:
    case PP_BFLOAT16:
      return 2;
  }
  return 0;
}
}
