// Streams and graphs of a CUDA device.
#include "graph/cuda/graph_cuda.h"

#include <new>

#include "core/status.h"
#include "cuda/branch.h"
#include "cuda/device.h"

struct pp_graph {
  int32_t device_index;
  cudaGraphExec_t work;
};

namespace prunepeft::cuda {
pp_status stream_create(const pp_device& device, void** stream) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  cudaStream_t made = nullptr;
  const cudaError_t error = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
  *stream = made;
  return to_status(error, "creating a stream");
}

pp_status stream_destroy(const pp_device& device) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  free_branch(device);
  return to_status(cudaStreamDestroy(stream_of(device)), "freeing a stream");
}

pp_status graph_begin(const pp_device& device) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  // Other threads may allocate meanwhile.
  return to_status(cudaStreamBeginCapture(stream_of(device), cudaStreamCaptureModeThreadLocal), "recording a graph");
}

pp_status graph_end(const pp_device& device, pp_graph** graph) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  cudaGraph_t recorded = nullptr;
  cudaError_t error = cudaStreamEndCapture(stream_of(device), &recorded);
  if (error != cudaSuccess) return to_status(error, "recording a graph");
  cudaGraphExec_t work = nullptr;
  error = cudaGraphInstantiate(&work, recorded, 0);
  cudaGraphDestroy(recorded);
  if (error != cudaSuccess) return to_status(error, "preparing a graph");
  *graph = new (std::nothrow) pp_graph{device.index, work};
  if (*graph != nullptr) return PP_OK;
  cudaGraphExecDestroy(work);
  return fail(PP_OUT_OF_MEMORY, "out of memory for a graph");
}

pp_status graph_launch(const pp_device& device, const pp_graph& graph) {
  if (device.index != graph.device_index)
    return fail(PP_INVALID_ARGUMENT, "device->index must be the graph's, %d, got %d", graph.device_index, device.index);
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  return to_status(cudaGraphLaunch(graph.work, stream_of(device)), "launching a graph");
}

void graph_destroy(pp_graph* graph) {
  const CurrentDevice current({PP_CUDA, graph->device_index, nullptr});
  cudaGraphExecDestroy(graph->work);
  delete graph;
}
}  // namespace prunepeft::cuda
