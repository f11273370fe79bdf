// Each call of a LoRA linear, of three on one input, of a decoder and of importance once, at Llama's shape: for a profiler.
#include "decoder_operands.h"
#include "operands.h"
#include "shapes.h"
#include "stack_operands.h"

namespace gpu_check {
namespace {
void run(const std::vector<Call>& calls) {
  for (const Call& call : calls) call.run(kDevice);
}
}  // namespace

int run_once() {
  constexpr int kLayers = 32;
  Operands operands(PP_BFLOAT16, kLlama.M, kLlama.K, kLlama.N, kLlama.r, 1);
  run(operands.pure_calls());
  run(operands.adding_calls());
  StackOperands stack(PP_BFLOAT16, kLlama.M, kLlama.K, kLlama.N, kLlama.r, 2);
  run(stack.calls());
  DecoderOperands decoder(PP_BFLOAT16, kLlama.M, kLlama.K, kLlama.N, 3);
  run(decoder.calls());
  Modules modules(PP_BFLOAT16, kLayers, {{kLlama.K, kLlama.N}}, kLlama.r, 4);
  run(modules.calls());
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return 0;
}
}  // namespace gpu_check
