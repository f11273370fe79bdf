#include "core/memory.h"

#include <cstdlib>
#include <cstring>

#include "core/arguments.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "cuda/release_memory.h"
#include "prunepeft/device.h"

namespace prunepeft {
namespace {

constexpr size_t kAlignment = 256;

/** PP_OK if the device is sound and there; a CUDA device is then named by the build. */
pp_status check_device(const pp_device* device) {
  Arguments arguments;
  arguments.target(device, PP_FLOAT32);
  return arguments.failed() ? arguments.status() : check_supported(device, PP_FLOAT32);
}

pp_status check_copy(const pp_device* device, const void* to, const void* from, size_t bytes) {
  const pp_status status = check_device(device);
  if (status != PP_OK || bytes == 0) return status;
  Arguments arguments;
  arguments.not_null("to", to);
  arguments.not_null("from", from);
  arguments.require(bytes <= kMostBytes, "bytes must be at most %zu, got %zu", static_cast<size_t>(kMostBytes), bytes);
  return arguments.status();
}

Handle memory_of(const pp_device* device) {
  return is_cuda(device) ? Handle::kDeviceMemory : Handle::kHostMemory;
}

/** PP_OUT_OF_MEMORY where there is none. */
pp_status allocate(const pp_device& device, size_t bytes, [[maybe_unused]] bool release, void** memory) {
  if (bytes <= kMostBytes) {
    if constexpr (kCuda) {
      if (is_cuda(&device)) return cuda::allocate(device, bytes, release, memory);
    }
    *memory = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  return *memory != nullptr ? PP_OK : fail(PP_OUT_OF_MEMORY, "%zu bytes of memory could not be had", bytes);
}

pp_status free_memory(const pp_device& device, void* memory) {
  if constexpr (kCuda) {
    if (is_cuda(&device)) return cuda::free_memory(device, memory);
  }
  std::free(memory);
  return PP_OK;
}

pp_status copy_on_cpu(void* to, const void* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  return PP_OK;
}

}  // namespace

pp_status take_memory(const pp_device& device, size_t bytes, bool release, void** memory) {
  void* made = nullptr;
  const pp_status had = allocate(device, bytes, release, &made);
  return had != PP_OK ? had : give_handle(memory_of(&device), made, memory, [&] { free_memory(device, made); });
}

}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_allocate(const pp_device* device, size_t bytes, void** memory) {
  const pp_status status = check_device(device);
  if (status != PP_OK) return status;
  Arguments arguments;
  arguments.not_null("memory", memory);
  if (arguments.failed()) return arguments.status();
  *memory = nullptr;
  return bytes == 0 ? PP_OK : take_memory(*device, bytes, true, memory);
}

pp_status pp_set_release_memory([[maybe_unused]] pp_release_memory release) {
  if constexpr (kCuda) cuda::set_release_memory(release);
  return PP_OK;
}

pp_status pp_free(const pp_device* device, void* memory) {
  const pp_status status = check_device(device);
  if (status != PP_OK || memory == nullptr) return status;
  return end_handle(memory_of(device), "memory", memory, [=] { return free_memory(*device, memory); });
}

pp_status pp_copy_to_device(const pp_device* device, void* to, const void* from, size_t bytes) {
  const pp_status status = check_copy(device, to, from, bytes);
  if (status != PP_OK || bytes == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(device)) return cuda::copy_to_device(*device, to, from, bytes);
  }
  return copy_on_cpu(to, from, bytes);
}

pp_status pp_copy_to_host(const pp_device* device, void* to, const void* from, size_t bytes) {
  const pp_status status = check_copy(device, to, from, bytes);
  if (status != PP_OK || bytes == 0) return status;
  if constexpr (kCuda) {
    if (is_cuda(device)) return cuda::copy_to_host(*device, to, from, bytes);
  }
  return copy_on_cpu(to, from, bytes);
}

pp_status pp_synchronize(const pp_device* device) {
  const pp_status status = check_device(device);
  if (status != PP_OK) return status;
  if constexpr (kCuda) {
    if (is_cuda(device)) return cuda::synchronize(*device);
  }
  return PP_OK;
}
