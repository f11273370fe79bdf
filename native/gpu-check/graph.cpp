// Graph capture and replay, poisoned outputs, bitwise repeats.
// SPDX-License-Identifier: Apache-2.0
#include "operands.h"

namespace gpu_check {
namespace {
constexpr int kReplays = 3;

std::vector<std::vector<unsigned char>> read_all(const Call& call) {
  std::vector<std::vector<unsigned char>> all;
  for (const Memory* output : call.outputs) all.push_back(output->read());
  return all;
}

/** The call captured on a stream of its own. */
cudaGraphExec_t capture(const Call& call, cudaStream_t stream) {
  const pp_device device = {PP_CUDA, 0, stream};
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  call.run(device);
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
  check(cudaGraphDestroy(graph), "cudaGraphDestroy");
  return executable;
}

bool replays_agree(const Call& call, cudaStream_t stream) {
  for (Memory* output : call.outputs) output->poison();
  call.run({PP_CUDA, 0, stream});
  check(cudaStreamSynchronize(stream), call.name.c_str());
  const auto direct = read_all(call);
  const cudaGraphExec_t graph = capture(call, stream);
  bool agree = true;
  for (int i = 0; i < kReplays; i++) {
    for (Memory* output : call.outputs) output->poison();
    check(cudaGraphLaunch(graph, stream), "cudaGraphLaunch");
    check(cudaStreamSynchronize(stream), call.name.c_str());
    agree = agree && read_all(call) == direct;
  }
  check(cudaGraphExecDestroy(graph), "cudaGraphExecDestroy");
  printf("%-28s %s\n", call.name.c_str(), agree ? "same bits" : "OTHER BITS");
  return agree;
}
}  // namespace

int check_graphs() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  bool agree = true;
  for (pp_dtype dtype : {PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16}) {
    Operands operands(dtype, 333, 520, 264, 24, 1);
    Modules modules(dtype, 2, {{520, 264}}, 24, 2);
    for (const Call& call : operands.pure_calls()) agree = replays_agree(call, stream) && agree;
    for (const Call& call : modules.calls()) agree = replays_agree(call, stream) && agree;
  }
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  return agree ? 0 : 1;
}
}  // namespace gpu_check
