// Launches of AdamW's step, and its plan's memory.
// SPDX-License-Identifier: Apache-2.0
#include "optimizer/adamw_cuda.h"

#include "cuda/availability.h"
#include "cuda/device.h"
#include "optimizer/adamw.cuh"

namespace prunepeft::cuda {
namespace {
template <class T>
cudaError_t launch_adamw(const AdamWArguments& arguments, bool updates, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(gpu::divide_up(arguments.n, kAdamWBlock)));
  return gpu::launch(updates ? adamw<T> : copy_weights<T>, grid, kAdamWThreads, 0, stream, arguments);
}
}  // namespace

pp_status adamw_create(const pp_device& device, pp_adamw* plan) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const size_t bytes = plan->copies.size() * sizeof(WeightCopy);
  if (bytes == 0) return PP_OK;
  void* memory = nullptr;
  pp_status status = to_status(cudaMalloc(&memory, bytes), "allocating a table of weights");
  if (status != PP_OK) return status;
  plan->device_copies = static_cast<WeightCopy*>(memory);
  return copy_to_device(device, memory, plan->copies.data(), bytes);
}

void adamw_destroy(const pp_adamw& plan) {
  if (plan.device_copies == nullptr) return;
  const CurrentDevice current({PP_CUDA, plan.device_index, nullptr});
  cudaFree(plan.device_copies);
}

pp_status adamw_step(const pp_device& device, const pp_adamw& plan, const AdamWFactors* factors, float* weights,
                     const float* gradients, float* mean, float* square) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  AdamWArguments arguments = {};
  arguments.n = plan.n;
  arguments.weights = weights;
  arguments.gradients = gradients;
  arguments.mean = mean;
  arguments.square = square;
  const auto is_aligned = [](const float* p) { return gpu::rows_aligned<float>(p, 0); };
  arguments.aligned = is_aligned(weights) && is_aligned(gradients) && is_aligned(mean) && is_aligned(square);
  if (factors != nullptr) arguments.factors = *factors;
  arguments.copies = plan.device_copies;
  arguments.copy_count = static_cast<int64_t>(plan.copies.size());
  return to_status(
      dispatch(plan.dtype,
               [&](auto element) { return launch_adamw<decltype(element)>(arguments, factors != nullptr, stream_of(device)); }),
      factors != nullptr ? "pp_adamw_step" : "pp_adamw_refresh");
}
}  // namespace prunepeft::cuda
