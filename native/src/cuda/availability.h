// Whether this build has CUDA code, and whether a call is for it. Without CUDA, calls of prunepeft::cuda stand in statements
// that the compiler discards, so that they need no definition.
#ifndef PRUNEPEFT_CUDA_AVAILABILITY_H
#define PRUNEPEFT_CUDA_AVAILABILITY_H

#include "prunepeft/device.h"

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
}  // namespace cuda

}  // namespace prunepeft

#endif
