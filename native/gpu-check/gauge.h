// The device's clock and power, by NVML, which is loaded if it is there: no header and no link is needed.
#pragma once

#include <dlfcn.h>

#include "device.h"

namespace gpu_check {
/** At a moment; 0: not known. */
struct Reading {
  double megahertz = 0, watts = 0;
};

class Gauge {
 public:
  Gauge() {
#if defined(PRUNEPEFT_EMULATED)
    const char* const name = "libnvml-stand-in.so";
#else
    const char* const name = "libnvidia-ml.so.1";
#endif
    library_ = dlopen(name, RTLD_NOW);
    int (*initialise)() = nullptr;
    int (*find_device)(const char*, void**) = nullptr;
    char bus[32];
    if (library_ == nullptr || !find("nvmlInit_v2", &initialise) || !find("nvmlDeviceGetHandleByPciBusId_v2", &find_device) ||
        !find("nvmlDeviceGetClockInfo", &read_clock_) || !find("nvmlDeviceGetPowerUsage", &read_power_) || initialise() != 0)
      return;
    check(cudaDeviceGetPCIBusId(bus, sizeof bus, 0), "cudaDeviceGetPCIBusId");
    if (find_device(bus, &device_) != 0) device_ = nullptr;
  }

  Reading read() const {
    constexpr int kOfMultiprocessors = 1;  // NVML_CLOCK_SM
    constexpr double kMilliwattsPerWatt = 1e3;
    unsigned megahertz = 0, milliwatts = 0;
    if (device_ == nullptr || read_clock_(device_, kOfMultiprocessors, &megahertz) != 0) megahertz = 0;
    if (device_ == nullptr || read_power_(device_, &milliwatts) != 0) milliwatts = 0;
    return {static_cast<double>(megahertz), milliwatts / kMilliwattsPerWatt};
  }

 private:
  template <class Function>
  bool find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(dlsym(library_, name));
    return *function != nullptr;
  }

  void* library_ = nullptr;
  void* device_ = nullptr;
  int (*read_clock_)(void*, int which, unsigned* megahertz) = nullptr;
  int (*read_power_)(void*, unsigned* milliwatts) = nullptr;
};
}  // namespace gpu_check
