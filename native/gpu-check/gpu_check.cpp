// gpu_check device               says whether there is a device that calls can run on, and if not, why
// gpu_check predict             prints what each path of a LoRA linear should take on an H100; no device is needed
// gpu_check graph               captures every family in a graph and compares its replays with direct calls
// gpu_check paths               runs a LoRA linear by every path, and compares what they give
// gpu_check time <file.json> [seconds]
//                               times every family, within 180 seconds or those given
// gpu_check once                runs each call of a LoRA linear once, for a profiler
// gpu_check goals <file.json>   prints this project's goals beside what is measured there; no device is needed
//
// With PRUNEPEFT_WITHOUT_WARPGROUPS in the environment the fused linear's path by warpgroups is left out, with
// PRUNEPEFT_WITHOUT_CLUSTERS its form in clusters, with PRUNEPEFT_WITHOUT_S of these the one that makes S: for a device on
// which its test has failed.
#include <cstring>

#include "device.h"
#include "linear/cuda/path.h"

int main(int count, char** arguments) {
#if defined(PRUNEPEFT_EMULATED)
  const char* const major = getenv("PRUNEPEFT_EMULATED_MAJOR");
  simt::set_compute_major(major != nullptr ? atoi(major) : 9);  // so that every path is there
#endif
  if (getenv("PRUNEPEFT_WITHOUT_WARPGROUPS") != nullptr)
    pp_internal_force_linear_path(prunepeft::cuda::kChosenWithoutWarpgroups);
  else if (getenv("PRUNEPEFT_WITHOUT_CLUSTERS") != nullptr)
    pp_internal_force_linear_path(prunepeft::cuda::kChosenWithoutClusters);
  else if (getenv("PRUNEPEFT_WITHOUT_S") != nullptr)
    pp_internal_force_linear_path(prunepeft::cuda::kChosenWithoutS);
  if (count == 2 && strcmp(arguments[1], "predict") == 0) {
    gpu_check::print_predictions();
    return 0;
  }
  if (count == 3 && strcmp(arguments[1], "goals") == 0) return gpu_check::print_goals(arguments[2]);
  if (pp_device_check(&gpu_check::kDevice) != PP_OK) {
    printf("%s\n", pp_last_error());
    return 1;
  }
  if (count == 2 && strcmp(arguments[1], "device") == 0) return 0;
  if (count == 2 && strcmp(arguments[1], "graph") == 0) return gpu_check::check_graphs();
  if (count == 2 && strcmp(arguments[1], "paths") == 0) return gpu_check::check_paths();
  if (count == 2 && strcmp(arguments[1], "once") == 0) return gpu_check::run_once();
  if ((count == 3 || count == 4) && strcmp(arguments[1], "time") == 0) {
    char* end = nullptr;
    const double seconds = count == 4 ? strtod(arguments[3], &end) : 180;
    if (end == nullptr || (end != arguments[3] && *end == 0 && seconds >= 0)) return gpu_check::time_all(arguments[2], seconds);
  }
  fprintf(stderr,
          "usage: gpu_check predict | gpu_check device | gpu_check graph | gpu_check paths | gpu_check time <file.json> "
          "[seconds] | gpu_check once | gpu_check goals <file.json>\n");
  return 2;
}
