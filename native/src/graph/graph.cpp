// Entry points of prunepeft/graph.h: arguments are checked here.
#include "prunepeft/graph.h"

#include "core/arguments.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "graph/cuda/graph_cuda.h"

namespace prunepeft {
namespace {
/** PP_OK for a CUDA device of a build with CUDA. */
pp_status check_device(const pp_device* device) {
  Arguments arguments;
  arguments.target(device, PP_FLOAT32);
  if (arguments.failed()) return arguments.status();
  if (device->type == PP_CPU) return fail(PP_UNSUPPORTED, "streams and graphs are of CUDA devices; device->type is PP_CPU");
  return check_supported(device, PP_FLOAT32);
}

/** The same, and `pointer` is not null. */
pp_status check_call(const pp_device* device, const char* name, const void* pointer) {
  const pp_status status = check_device(device);
  if (status != PP_OK) return status;
  Arguments arguments;
  arguments.not_null(name, pointer);
  return arguments.status();
}
}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_stream_create(const pp_device* device, void** stream) {
  const pp_status status = check_call(device, "stream", stream);
  if (status != PP_OK) return status;
  *stream = nullptr;
  if constexpr (kCuda) {
    void* made = nullptr;
    const pp_status created = cuda::stream_create(*device, &made);
    if (created != PP_OK) return created;
    return give_handle(Handle::kStream, made, stream, [=] { cuda::stream_destroy({device->type, device->index, made}); });
  }
  return PP_OK;
}

pp_status pp_stream_destroy(const pp_device* device) {
  const pp_status status = check_device(device);
  if (status != PP_OK || device->stream == nullptr) return status;
  return end_handle(Handle::kStream, "device->stream", device->stream, [=] {
    if constexpr (kCuda) return cuda::stream_destroy(*device);
    return PP_OK;
  });
}

pp_status pp_graph_begin(const pp_device* device) {
  const pp_status status = check_device(device);
  if (status != PP_OK) return status;
  Arguments arguments;
  arguments.require(device->stream != nullptr, "device->stream must not be the default stream (null), which records nothing");
  if (arguments.failed()) return arguments.status();
  if constexpr (kCuda) return cuda::graph_begin(*device);
  return PP_OK;
}

pp_status pp_graph_end(const pp_device* device, pp_graph** graph) {
  const pp_status status = check_call(device, "graph", graph);
  if (status != PP_OK) return status;
  *graph = nullptr;
  if constexpr (kCuda) {
    pp_graph* made = nullptr;
    const pp_status ended = cuda::graph_end(*device, &made);
    return ended != PP_OK ? ended : give_handle(Handle::kGraph, made, graph, [=] { cuda::graph_destroy(made); });
  }
  return PP_OK;
}

pp_status pp_graph_launch(const pp_device* device, const pp_graph* graph) {
  pp_status status = check_device(device);
  if (status == PP_OK) status = check_handle(Handle::kGraph, "graph", graph);
  if (status != PP_OK) return status;
  if constexpr (kCuda) return cuda::graph_launch(*device, *graph);
  return PP_OK;
}

pp_status pp_graph_destroy(pp_graph* graph) {
  if (graph == nullptr) return PP_OK;
  return end_handle(Handle::kGraph, "graph", graph, [=] {
    if constexpr (kCuda) cuda::graph_destroy(graph);
    return PP_OK;
  });
}
