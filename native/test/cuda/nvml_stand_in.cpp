// Stands in for NVML where the emulator stands in for a device: a clock of 1234 MHz and 321 W. Test alone.
#include <cstring>

namespace {
enum Status { kSuccess = 0, kInvalidArgument = 2 };
constexpr int kOfMultiprocessors = 1;
bool initialised = false;
int the_device = 0;
}  // namespace

extern "C" {
int nvmlInit_v2() {
  initialised = true;
  return kSuccess;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  if (!initialised || strcmp(bus, "0000:01:00.0") != 0) return kInvalidArgument;
  *device = &the_device;
  return kSuccess;
}

int nvmlDeviceGetClockInfo(void* device, int which, unsigned* megahertz) {
  if (device != &the_device || which != kOfMultiprocessors) return kInvalidArgument;
  *megahertz = 1234;
  return kSuccess;
}

int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (device != &the_device) return kInvalidArgument;
  *milliwatts = 321000;
  return kSuccess;
}
}
