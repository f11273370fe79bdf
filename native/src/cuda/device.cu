// SPDX-License-Identifier: Apache-2.0
#include "cuda/device.h"

#include "core/status.h"
#include "cuda/availability.h"

namespace prunepeft::cuda {

pp_status to_status(cudaError_t error, const char* action) {
  switch (error) {
    case cudaSuccess:
      return PP_OK;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
      return fail(PP_NO_DEVICE, "%s: %s", action, cudaGetErrorString(error));
    case cudaErrorMemoryAllocation:
      return fail(PP_OUT_OF_MEMORY, "%s: %s", action, cudaGetErrorString(error));
    default:
      return fail(PP_DEVICE_ERROR, "%s: %s", action, cudaGetErrorString(error));
  }
}

int32_t device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) return count;
  cudaGetLastError();  // not to be met by a later call
  to_status(error, "no CUDA devices");
  return 0;
}

CurrentDevice::CurrentDevice(const pp_device& device) {
  cudaError_t error = cudaGetDevice(&before_);
  if (error == cudaSuccess && before_ != device.index) {
    error = cudaSetDevice(device.index);
    changed_ = error == cudaSuccess;
  }
  if (error == cudaErrorInvalidDevice) {
    cudaGetLastError();
    status_ = fail(PP_INVALID_ARGUMENT, "device->index must be below the number of CUDA devices, %d, got %d", device_count(),
                   device.index);
  } else {
    status_ = to_status(error, "choosing a CUDA device");
  }
}

CurrentDevice::~CurrentDevice() {
  if (changed_) cudaSetDevice(before_);
}

}  // namespace prunepeft::cuda
