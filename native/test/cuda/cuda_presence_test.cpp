// A library with CUDA code loads on any machine. Without driver or device it counts no device and says why, and a call for a
// device fails with that reason; with one, it counts it.
#include <cstdio>
#include <cstring>

#include "prunepeft/device.h"

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);  // so that a crash loses none of it
  int32_t count = -1;
  if (pp_device_count(PP_CUDA, &count) != PP_OK || count < 0) {
    printf("FAILED: counting devices: %s\n", pp_last_error());
    return 1;
  }
  printf("%d CUDA devices\n", count);
  if (count > 0) return 0;
  const char* reason = pp_last_error();
  printf("%s\n", reason);
  if (strstr(reason, "no CUDA devices") == nullptr) {
    printf("FAILED: no reason is given\n");
    return 1;
  }
  const pp_device device = {PP_CUDA, 0, nullptr};
  const pp_status status = pp_synchronize(&device);
  printf("status %d: %s\n", static_cast<int>(status), pp_last_error());
  return status == PP_NO_DEVICE ? 0 : 1;
}
