// Streams, graphs and events. What is enqueued on a stream is done before the call returns, unless the stream is captured: then
// it is recorded, and done anew by each launch of the graph. Calls that CUDA forbids during a capture end it, as they do there.
#include <chrono>
#include <cstdio>

#include "state.h"

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};
struct CUstream_st {};
struct CUevent_st {
  std::chrono::steady_clock::time_point at;
};

namespace simt {
namespace {
/** The capture under way; there is one at a time. */
struct Capture {
  cudaStream_t stream = nullptr;
  std::vector<std::function<void()>> work;
  bool valid = true;
};
std::unique_ptr<Capture> g_capture;
}  // namespace

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  if (g_capture == nullptr || (stream != nullptr && stream != g_capture->stream)) {
    work();
    return launch_status();
  }
  if (stream == nullptr) {  // it would wait for the captured stream
    g_capture->valid = false;
    return cudaErrorStreamCaptureImplicit;
  }
  if (!g_capture->valid) return cudaErrorStreamCaptureInvalidated;
  g_capture->work.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t outside_capture() {
  if (g_capture == nullptr) return cudaSuccess;
  g_capture->valid = false;
  return cudaErrorStreamCaptureUnsupported;
}
}  // namespace simt

extern "C" {
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st;
  return cudaSuccess;
}

/** No stream of the emulator waits for another. */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreate(stream);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (const cudaError_t error = simt::outside_capture()) return error;
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (simt::g_capture != nullptr && (stream == nullptr || stream == simt::g_capture->stream)) return simt::outside_capture();
  return simt::launch_status();
}

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = simt::outside_capture()) return error;
  return simt::launch_status();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
  if (simt::g_capture != nullptr) return cudaErrorIllegalState;
  simt::g_capture = std::make_unique<simt::Capture>();
  simt::g_capture->stream = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const bool captured = simt::g_capture != nullptr && stream == simt::g_capture->stream;
  *status = !captured                ? cudaStreamCaptureStatusNone
            : simt::g_capture->valid ? cudaStreamCaptureStatusActive
                                     : cudaStreamCaptureStatusInvalidated;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (simt::g_capture == nullptr || simt::g_capture->stream != stream) return cudaErrorIllegalState;
  const std::unique_ptr<simt::Capture> capture = std::move(simt::g_capture);
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st{std::move(capture->work)};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return simt::enqueue(stream, [work = executable->work] {
    for (const auto& node : work)
      if (simt::launch_status() == cudaSuccess) node();
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return simt::enqueue(stream, [event] { event->at = std::chrono::steady_clock::now(); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return simt::launch_status();
}

/** Of the host's clock: what the emulator takes, which says nothing of a device. */
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  *milliseconds = std::chrono::duration<float, std::milli>(stop->at - start->at).count();
  return cudaSuccess;
}
}
