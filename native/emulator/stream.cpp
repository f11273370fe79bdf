// Streams, graphs and events. Work waits in its stream until something waits for it: the host, for a stream, an event or the
// device. Then what has to be done first is done, and what else is ready may be: each time one piece of those that no stream's
// order holds back, drawn at random. So whatever order a device could take comes about sooner or later, but that pieces run
// side by side. A captured stream's work is recorded, and that of streams that wait for its events; each launch of the graph
// does it anew, in one piece, of what is ready one at random. Calls that CUDA forbids during a capture end it, as they do
// there; so does the first use of a kernel, whose code would be loaded, by the thread that captures or, where it does so in
// global mode, by any that has not relaxed its own.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <new>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "launches.h"

#include "state.h"

namespace simt {
struct Piece {
  std::function<void()> work;
  uint64_t seed;
  /** What has to be done before. */
  std::vector<std::shared_ptr<Piece>> after;
  bool done = false;
};

/** A piece of a graph. */
struct Node {
  std::function<void()> work;
  /** The nodes that come before, all of them of less index. */
  std::set<size_t> after;
};
}  // namespace simt

struct CUgraph_st {
  std::vector<simt::Node> nodes;
};
struct CUgraphExec_st {
  std::vector<simt::Node> nodes;
};
struct CUstream_st {
  /** Whether it and the legacy stream wait for each other. */
  bool blocking;
  std::shared_ptr<simt::Piece> last;
};
struct CUevent_st {
  /** Its own, since an event may be freed before what it records is done. */
  std::shared_ptr<std::chrono::steady_clock::time_point> at = std::make_shared<std::chrono::steady_clock::time_point>();
  /** Null: it was not recorded yet, or in a capture. */
  std::shared_ptr<simt::Piece> recorded;
  /** Of the capture that it was recorded in last; 0: of none. */
  uint64_t capture = 0;
  std::set<size_t> nodes;
};

namespace simt {
namespace {
/** The capture under way; there is one at a time. */
struct Capture {
  uint64_t number = 0;
  cudaStream_t stream = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread = std::this_thread::get_id();
  std::vector<Node> nodes;
  /** Of each stream that takes part, the nodes that its next one comes after. */
  std::map<cudaStream_t, std::set<size_t>> last;
  bool valid = true;
};
std::unique_ptr<Capture> g_capture;
uint64_t g_captures = 0;
uint64_t g_waits = 0;
int64_t g_streams_and_events = 0;
thread_local cudaStreamCaptureMode g_mode = cudaStreamCaptureModeGlobal;

std::vector<std::shared_ptr<Piece>> g_waiting;
/** The legacy stream's last piece, and those of blocking streams since. */
std::shared_ptr<Piece> g_legacy;
std::vector<std::shared_ptr<Piece>> g_since_legacy;
std::mt19937_64 g_order;
bool g_deferred = true;

bool is_ready(const std::shared_ptr<Piece>& piece) {
  return std::all_of(piece->after.begin(), piece->after.end(), [](const auto& before) { return before->done; });
}

/** Does one piece of those that are ready. */
void do_one() {
  std::vector<size_t> ready;
  for (size_t i = 0; i < g_waiting.size(); i++)
    if (is_ready(g_waiting[i])) ready.push_back(i);
  const auto chosen = g_waiting.begin() + static_cast<ptrdiff_t>(ready[g_order() % ready.size()]);
  const std::shared_ptr<Piece> piece = *chosen;
  g_waiting.erase(chosen);
  const uint64_t before = exchange_seed(piece->seed);
  piece->work();
  exchange_seed(before);
  piece->done = true;
  piece->after.clear();
}

std::shared_ptr<Piece> add(cudaStream_t stream, std::function<void()> work) {
  auto piece = std::make_shared<Piece>();
  piece->work = std::move(work);
  piece->seed = seed();
  const auto comes_after = [&](const std::shared_ptr<Piece>& before) {
    if (before != nullptr && !before->done) piece->after.push_back(before);
  };
  if (stream == nullptr) {
    comes_after(g_legacy);
    for (const auto& before : g_since_legacy) comes_after(before);
    g_since_legacy.clear();
    g_legacy = piece;
  } else {
    comes_after(stream->last);
    stream->last = piece;
    if (stream->blocking) {
      comes_after(g_legacy);
      g_since_legacy.push_back(piece);
    }
  }
  g_waiting.push_back(piece);
  return piece;
}

bool is_captured(cudaStream_t stream) {
  return g_capture != nullptr && g_capture->last.count(stream) != 0;
}

/** Ends the capture, as a call does that it forbids. */
cudaError_t invalidate(cudaError_t error) {
  g_capture->valid = false;
  return keep_error(error);
}

/** Whether all that the other streams have captured comes before the first one's end. */
bool is_joined(const Capture& capture) {
  std::set<size_t> before = capture.last.at(capture.stream);
  for (size_t i = capture.nodes.size(); i-- > 0;)
    if (before.count(i) != 0) before.insert(capture.nodes[i].after.begin(), capture.nodes[i].after.end());
  return std::all_of(capture.last.begin(), capture.last.end(), [&](const auto& of_stream) {
    return std::includes(before.begin(), before.end(), of_stream.second.begin(), of_stream.second.end());
  });
}

/** Does the nodes of a graph, each time one of those that are ready. */
void do_nodes(const std::vector<Node>& nodes) {
  std::set<size_t> left;
  for (size_t i = 0; i < nodes.size(); i++) left.insert(i);
  while (!left.empty() && launch_status() == cudaSuccess) {
    std::vector<size_t> ready;
    for (const size_t i : left)
      if (std::none_of(nodes[i].after.begin(), nodes[i].after.end(), [&](size_t before) { return left.count(before) != 0; }))
        ready.push_back(i);
    const size_t chosen = ready[g_order() % ready.size()];
    nodes[chosen].work();
    left.erase(chosen);
  }
}

cudaError_t wait_for(const std::shared_ptr<Piece>& piece) {
  while (piece != nullptr && !piece->done) do_one();
  return launch_status();
}
}  // namespace

void order_streams(uint64_t seed) {
  const HostCall call;
  g_order.seed(seed);
}

void defer_streams(bool deferred) {
  const HostCall call;
  finish_streams();
  g_deferred = deferred;
}

void finish_streams() {
  const HostCall call;
  while (!g_waiting.empty()) do_one();
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  const HostCall call;
  use_device();
  if (g_capture == nullptr || (stream != nullptr && !is_captured(stream))) {
    const auto piece = add(stream, std::move(work));
    return g_deferred ? launch_status() : wait_for(piece);
  }
  if (stream == nullptr) return invalidate(cudaErrorStreamCaptureImplicit);  // it would wait for the captured stream
  if (!g_capture->valid) return keep_error(cudaErrorStreamCaptureInvalidated);
  std::set<size_t>& last = g_capture->last[stream];
  g_capture->nodes.push_back({std::move(work), std::move(last)});
  last = {g_capture->nodes.size() - 1};
  return cudaSuccess;
}

int64_t streams_and_events() {
  const HostCall call;
  return g_streams_and_events;
}

uint64_t waits_for_events() {
  const HostCall call;
  return g_waits;
}

cudaError_t finish(cudaStream_t stream) {
  const HostCall call;
  return wait_for(add(stream, [] {}));
}

cudaError_t outside_capture() {
  return g_capture == nullptr ? cudaSuccess : invalidate(cudaErrorStreamCaptureUnsupported);
}

cudaError_t may_be_unsafe() {
  if (g_capture == nullptr || g_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  const bool forbidden = g_capture->thread == std::this_thread::get_id()
                             ? g_capture->mode != cudaStreamCaptureModeRelaxed
                             : g_capture->mode == cudaStreamCaptureModeGlobal && g_mode == cudaStreamCaptureModeGlobal;
  return forbidden ? outside_capture() : cudaSuccess;
}
}  // namespace simt

extern "C" {
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const simt::HostCall call;
  if (simt::allocation_fails()) return simt::keep_error(cudaErrorMemoryAllocation);
  simt::use_device();
  CUstream_st* const made = new (std::nothrow) CUstream_st{(flags & cudaStreamNonBlocking) == 0, nullptr};
  if (made == nullptr) return simt::keep_error(cudaErrorMemoryAllocation);
  simt::g_streams_and_events++;
  *stream = made;
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  const simt::HostCall call;
  return cudaStreamCreateWithFlags(stream, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const simt::HostCall call;
  simt::use_device();
  if (const cudaError_t error = simt::may_be_unsafe()) return error;
  simt::g_streams_and_events--;
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const simt::HostCall call;
  if (stream == nullptr || simt::is_captured(stream))
    if (const cudaError_t error = simt::outside_capture()) return error;
  return simt::finish(stream);
}

cudaError_t cudaDeviceSynchronize() {
  const simt::HostCall call;
  if (const cudaError_t error = simt::outside_capture()) return error;
  simt::finish_streams();
  return simt::launch_status();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const simt::HostCall call;
  if (stream == nullptr) return simt::keep_error(cudaErrorStreamCaptureUnsupported);
  if (simt::g_capture != nullptr) return simt::keep_error(cudaErrorIllegalState);
  simt::g_capture = std::make_unique<simt::Capture>();
  simt::g_capture->number = ++simt::g_captures;
  simt::g_capture->stream = stream;
  simt::g_capture->mode = mode;
  simt::g_capture->last[stream] = {};
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  const simt::HostCall call;
  std::swap(simt::g_mode, *mode);
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const simt::HostCall call;
  simt::use_device();
  *status = !simt::is_captured(stream) ? cudaStreamCaptureStatusNone
            : simt::g_capture->valid   ? cudaStreamCaptureStatusActive
                                       : cudaStreamCaptureStatusInvalidated;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const simt::HostCall call;
  *graph = nullptr;
  if (simt::g_capture == nullptr || simt::g_capture->stream != stream) return simt::keep_error(cudaErrorIllegalState);
  const std::unique_ptr<simt::Capture> capture = std::move(simt::g_capture);
  if (!capture->valid) return simt::keep_error(cudaErrorStreamCaptureInvalidated);
  if (!simt::is_joined(*capture)) return simt::keep_error(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{std::move(capture->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const simt::HostCall call;
  simt::use_device();
  *executable = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const simt::HostCall call;
  return simt::enqueue(stream, [nodes = executable->nodes] { simt::do_nodes(nodes); });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const simt::HostCall call;
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const simt::HostCall call;
  simt::use_device();
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  const simt::HostCall call;
  simt::use_device();
  if (simt::allocation_fails()) return simt::keep_error(cudaErrorMemoryAllocation);
  simt::g_streams_and_events++;
  *event = new CUevent_st;
  return cudaSuccess;
}

/** Times are taken all the same. */
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const simt::HostCall call;
  return cudaEventCreate(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const simt::HostCall call;
  simt::use_device();
  simt::g_streams_and_events--;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const simt::HostCall call;
  if (stream == nullptr)
    if (const cudaError_t error = simt::outside_capture()) return error;
  if (simt::is_captured(stream)) {
    if (!simt::g_capture->valid) return simt::keep_error(cudaErrorStreamCaptureInvalidated);
    event->recorded = nullptr;
    event->capture = simt::g_capture->number;
    event->nodes = simt::g_capture->last[stream];
    return cudaSuccess;
  }
  event->capture = 0;
  event->recorded = simt::add(stream, [at = event->at] { *at = std::chrono::steady_clock::now(); });
  return simt::launch_status();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const simt::HostCall call;
  if (event->recorded != nullptr && !event->recorded->done) return cudaErrorNotReady;
  return simt::launch_status();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const simt::HostCall call;
  return simt::wait_for(event->recorded);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  const simt::HostCall call;
  if (flags != 0) return simt::keep_error(cudaErrorInvalidValue);  // events of outside a graph are not known here
  simt::g_waits++;
  if (stream == nullptr)
    if (const cudaError_t error = simt::outside_capture()) return error;
  if (event->capture != 0) {  // the stream takes part from now on
    if (simt::g_capture == nullptr || simt::g_capture->number != event->capture)
      return simt::keep_error(cudaErrorCapturedEvent);
    if (!simt::g_capture->valid) return simt::keep_error(cudaErrorStreamCaptureInvalidated);
    simt::g_capture->last[stream].insert(event->nodes.begin(), event->nodes.end());
    return cudaSuccess;
  }
  if (simt::is_captured(stream)) return simt::invalidate(cudaErrorStreamCaptureIsolation);
  const auto piece = simt::add(stream, [] {});
  if (event->recorded != nullptr) piece->after.push_back(event->recorded);
  return simt::launch_status();
}

/** Of the host's clock: what the emulator takes, which says nothing of a device. */
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  const simt::HostCall call;
  *milliseconds = std::chrono::duration<float, std::milli>(*stop->at - *start->at).count();
  return cudaSuccess;
}
}
