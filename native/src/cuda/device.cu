#include "cuda/device.h"

#include <cstdio>

#include "core/status.h"
#include "cuda/availability.h"

namespace prunepeft::cuda {
namespace {
/** The compute capability that the oldest machine code of a build is for: cp.async and mma.m16n8k16 begin there. */
constexpr int kLeastMajor = 8;

/** As CUDA counts them: 12.4 is 12040. */
constexpr int kMajorVersion = 1000, kMinorVersion = 10;

/** Why there is no device, and what helps. */
struct Absence {
  explicit Absence(cudaError_t error) {
    if (error == cudaErrorNoDevice) {
      snprintf(text, sizeof text,
               "the NVIDIA driver finds none; CUDA_VISIBLE_DEVICES, where it is set, must name those to use");
      return;
    }
    int driver = 0, needed = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || cudaRuntimeGetVersion(&needed) != cudaSuccess) {
      snprintf(text, sizeof text, "%s", cudaGetErrorString(error));
    } else if (driver == 0) {
      snprintf(text, sizeof text, "no NVIDIA driver is installed, or a container hides it");
    } else {
      snprintf(text, sizeof text, "the NVIDIA driver is for CUDA %d.%d and this build needs CUDA %d.%d; update the driver",
               driver / kMajorVersion, driver % kMajorVersion / kMinorVersion, needed / kMajorVersion,
               needed % kMajorVersion / kMinorVersion);
    }
  }
  char text[160];
};

pp_status check_capability(int32_t index) {
  int major = 0, minor = 0;
  cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
  if (error == cudaSuccess && major >= kLeastMajor) return PP_OK;
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
  if (error != cudaSuccess) return to_status(error, "reading a device's compute capability");
  return fail(PP_NO_DEVICE, "CUDA device %d has compute capability %d.%d, and the kernels need %d.0 or newer", index, major,
              minor, kLeastMajor);
}

pp_status no_such_device(int32_t index, int32_t count) {
  return fail(PP_INVALID_ARGUMENT, "device->index must be below the number of CUDA devices, %d, got %d", count, index);
}
}  // namespace

pp_status to_status(cudaError_t error, const char* action) {
  if (error != cudaSuccess) cudaGetLastError();  // not to be met by a later call
  switch (error) {
    case cudaSuccess:
      return PP_OK;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
      return fail(PP_NO_DEVICE, "%s: %s", action, Absence(error).text);
    case cudaErrorMemoryAllocation:
      return fail(PP_OUT_OF_MEMORY, "%s: %s", action, cudaGetErrorString(error));
    default:
      return fail(PP_DEVICE_ERROR, "%s: %s", action, cudaGetErrorString(error));
  }
}

int32_t device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  to_status(error == cudaSuccess ? cudaErrorNoDevice : error, "no CUDA devices");
  return 0;
}

pp_status check_device(const pp_device& device) {
  const int32_t count = device_count();
  if (count == 0) return PP_NO_DEVICE;
  if (device.index < 0 || device.index >= count) return no_such_device(device.index, count);
  return check_capability(device.index);
}

CurrentDevice::CurrentDevice(const pp_device& device) {
  cudaError_t error = cudaGetDevice(&before_);
  if (error == cudaSuccess && before_ != device.index) {
    error = cudaSetDevice(device.index);
    changed_ = error == cudaSuccess;
  }
  if (error == cudaErrorInvalidDevice) {
    cudaGetLastError();  // not to be met by a later call
    status_ = no_such_device(device.index, device_count());
  } else {
    status_ = to_status(error, "choosing a CUDA device");
  }
  if (status_ == PP_OK) status_ = check_capability(device.index);
}

CurrentDevice::~CurrentDevice() {
  if (changed_) cudaSetDevice(before_);
}

}  // namespace prunepeft::cuda
