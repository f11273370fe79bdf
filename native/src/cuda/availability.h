// Whether this build has CUDA code, and whether a call is for it. Without CUDA, calls of prunepeft::cuda stand in statements
// that the compiler discards, so that they need no definition.
#pragma once

#include "prunepeft/tensor.h"

namespace prunepeft {

#if defined(PRUNEPEFT_CUDA)
constexpr bool kCuda = true;
#else
constexpr bool kCuda = false;
#endif

inline bool is_cuda(const pp_device* device) {
  return device != nullptr && device->type == PP_CUDA;
}

namespace cuda {
/** Number of devices; 0, and the reason as message, where there is no driver or no device. */
int32_t device_count();
/** What pp_device_check says of CUDA devices. */
pp_status check_device(const pp_device& device);

// What device.h says of the functions with these names.
pp_status allocate(const pp_device& device, size_t bytes, void** memory);
pp_status free_memory(const pp_device& device, void* memory);
pp_status copy_to_device(const pp_device& device, void* to, const void* from, size_t bytes);
pp_status copy_to_host(const pp_device& device, void* to, const void* from, size_t bytes);
pp_status synchronize(const pp_device& device);
/** Whether what is enqueued on the device's stream is being recorded. */
bool is_recording(const pp_device& device);
}  // namespace cuda

}  // namespace prunepeft
