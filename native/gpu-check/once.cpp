// Each call of a LoRA linear once, at Llama's shape: for a profiler.
#include "operands.h"
#include "shapes.h"

namespace gpu_check {
int run_once() {
  Operands operands(PP_BFLOAT16, kLlama.M, kLlama.K, kLlama.N, kLlama.r, 1);
  for (const Call& call : operands.pure_calls()) call.run(kDevice);
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return 0;
}
}  // namespace gpu_check
