#include "cuda/device.h"

#include <cstdio>
#include <map>
#include <mutex>
#include <new>

#include "core/status.h"
#include "cuda/availability.h"
#include "cuda/driver.h"

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

DriverFunction<decltype(&cuInit)> init_driver{"cuInit"};
DriverFunction<decltype(&cuDeviceGet)> get_device{"cuDeviceGet"};
DriverFunction<decltype(&cuDevicePrimaryCtxRetain)> retain_context{"cuDevicePrimaryCtxRetain"};
DriverFunction<decltype(&cuCtxPushCurrent)> push_context{"cuCtxPushCurrent"};
DriverFunction<decltype(&cuCtxPopCurrent)> pop_context{"cuCtxPopCurrent"};

/** The contexts that the runtime has for devices, by device, kept from here on. Never destroyed: a thread may make a call while
 * the process ends. */
struct Contexts {
  std::mutex mutex;
  std::map<int32_t, CUcontext> of;
};
Contexts& contexts = *new Contexts;

cudaError_t make_context(int32_t index, CUcontext* context) {
  decltype(&cuInit) init;
  decltype(&cuDeviceGet) get;
  decltype(&cuDevicePrimaryCtxRetain) retain;
  CUdevice device = 0;
  cudaError_t error = init_driver.find(&init);
  if (error == cudaSuccess) error = get_device.find(&get);
  if (error == cudaSuccess) error = retain_context.find(&retain);
  if (error == cudaSuccess) error = error_of(init(0));
  if (error == cudaSuccess) error = error_of(get(&device, index));
  return error == cudaSuccess ? error_of(retain(context, device)) : error;
}

cudaError_t context_of(int32_t index, CUcontext* context) {
  const std::lock_guard<std::mutex> lock(contexts.mutex);
  const auto found = contexts.of.find(index);
  if (found != contexts.of.end()) {
    *context = found->second;
    return cudaSuccess;
  }
  const cudaError_t error = make_context(index, context);
  try {
    if (error == cudaSuccess) contexts.of[index] = *context;
  } catch (const std::bad_alloc&) {
    // It is asked for again.
  }
  return error;
}

/** Has the device's context be the thread's, above those that it has; pop_context has been found then. */
cudaError_t push_device(int32_t index) {
  decltype(&cuCtxPushCurrent) push;
  decltype(&cuCtxPopCurrent) pop;
  CUcontext context = nullptr;
  cudaError_t error = push_context.find(&push);
  if (error == cudaSuccess) error = pop_context.find(&pop);
  if (error == cudaSuccess) error = context_of(index, &context);
  return error == cudaSuccess ? error_of(push(context)) : error;
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
  int before = 0;
  cudaError_t error = cudaGetDevice(&before);
  if (error == cudaSuccess && before != device.index) {
    error = push_device(device.index);
    pushed_ = error == cudaSuccess;
  }
  if (error == cudaErrorInvalidDevice) {
    status_ = no_such_device(device.index, device_count());
  } else {
    status_ = to_status(error, "choosing a CUDA device");
  }
  if (status_ == PP_OK) status_ = check_capability(device.index);
}

CurrentDevice::~CurrentDevice() {
  if (!pushed_) return;
  CUcontext popped;
  pop_context.kept.load(std::memory_order_relaxed)(&popped);
}

}  // namespace prunepeft::cuda
