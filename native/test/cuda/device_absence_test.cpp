// What is said where no device can be used: no driver, one that is too old, no device, one that is too old.
#include <cstdio>
#include <cstring>

#include "prunepeft/device.h"
#include "prunepeft/linear.h"
#include "simt.h"

namespace {
int failures = 0;

void expect(const char* what, bool fact) {
  if (fact) return;
  printf("FAILED: %s; the last message: %s\n", what, pp_last_error());
  failures++;
}

void expect_message(const char* what, const char* message) {
  if (strcmp(pp_last_error(), message) == 0) return;
  printf("FAILED: %s: expected \"%s\", got \"%s\"\n", what, message, pp_last_error());
  failures++;
}

constexpr pp_device kDevice = {PP_CUDA, 0, nullptr};

/** A kernel's call on a device. */
pp_status call(const pp_device& device) {
  const pp_context context = {device, nullptr};
  float values[3] = {};
  const auto element = [&](int i) { return pp_matrix{&values[i], 1, 1, 1, PP_FLOAT32}; };
  pp_lora_module module = {};
  module.b = element(0);
  module.rows = 1;
  module.s = element(1);
  const pp_matrix y = element(2);
  return pp_lora_up(&context, &module, 1, &y, 1);
}

void no_devices(const char* reason) {
  int32_t count = -1;
  expect("counting works", pp_device_count(PP_CUDA, &count) == PP_OK);
  expect("none is counted", count == 0);
  char message[300];
  snprintf(message, sizeof message, "no CUDA devices: %s", reason);
  expect_message("counting", message);
  expect("the check", pp_device_check(&kDevice) == PP_NO_DEVICE);
  expect_message("the check", message);
  expect("a call", call(kDevice) == PP_NO_DEVICE);
  snprintf(message, sizeof message, "choosing a CUDA device: %s", reason);
  expect_message("a call", message);
  expect("no error stays for a later call", cudaGetLastError() == cudaSuccess);
}
}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);  // so that a crash loses none of it
  simt::admit_host_memory();
  const pp_device cpu = {PP_CPU, 0, nullptr}, other = {PP_CUDA, 1, nullptr};
  expect("the CPU", pp_device_check(&cpu) == PP_OK);
  expect("no device at all", pp_device_check(nullptr) == PP_INVALID_ARGUMENT);

  simt::set_driver_version(0);
  no_devices("no NVIDIA driver is installed, or a container hides it");
  simt::set_driver_version(12040);
  no_devices("the NVIDIA driver is for CUDA 12.4 and this build needs CUDA 13.0; update the driver");
  simt::set_driver_version(13010);  // newer than the build
  simt::set_device_count(0);
  no_devices("the NVIDIA driver finds none; CUDA_VISIBLE_DEVICES, where it is set, must name those to use");
  simt::set_device_count(1);

  for (const int major : {6, 7}) {
    simt::set_compute_major(major);
    int32_t count = 0;
    expect("it is counted", pp_device_count(PP_CUDA, &count) == PP_OK && count == 1);
    char message[200];
    snprintf(message, sizeof message, "CUDA device 0 has compute capability %d.0, and the kernels need 8.0 or newer", major);
    expect("the check of an old device", pp_device_check(&kDevice) == PP_NO_DEVICE);
    expect_message("the check of an old device", message);
    expect("a call on an old device", call(kDevice) == PP_NO_DEVICE);
    expect_message("a call on an old device", message);
  }
  for (const int major : {8, 9, 12}) {
    simt::set_compute_major(major);
    expect("the check of a device", pp_device_check(&kDevice) == PP_OK);
    expect("a call on a device", call(kDevice) == PP_OK);
  }
  expect("the check of another index", pp_device_check(&other) == PP_INVALID_ARGUMENT);
  expect_message("the check of another index", "device->index must be below the number of CUDA devices, 1, got 1");
  expect("no fault", simt::take_report().empty());
  return failures == 0 ? 0 : 1;
}
