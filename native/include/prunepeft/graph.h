// Work of a device recorded once and then done again as one launch: a CUDA graph. It saves the time from one small kernel to
// the next, where a step's work is the same each time but for the contents of its buffers.
//
// A recording keeps the arguments of its calls: addresses, shapes, and every number that is passed by value, a learning rate
// among them, and dropout's step unless it lies in device memory (pp_dropout's counter in linear.h). No call between begin and
// end is carried out; calls that allocate or wait are errors there, and spoil the recording. Graphs are CUDA's: on the CPU each
// function but pp_graph_destroy gives PP_UNSUPPORTED.
#pragma once

#include "prunepeft/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Work that can be launched; of the device that it was recorded on. */
typedef struct pp_graph pp_graph;

/** A stream of the device that does not wait for its default stream; device->stream is not looked at. */
PP_API pp_status pp_stream_create(const pp_device* device, void** stream);

/** Frees device->stream, which pp_stream_create gave; null is allowed. Its work goes on to its end. */
PP_API pp_status pp_stream_destroy(const pp_device* device);

/**
 * Records what is enqueued on device->stream from now on, which may not be the default stream, and only by the calling thread
 * until pp_graph_end.
 */
PP_API pp_status pp_graph_begin(const pp_device* device);

/**
 * Ends the recording on device->stream, which then works as ever, whether this succeeds or not. It fails with PP_DEVICE_ERROR
 * if the recording was spoilt, or none was begun; *graph is then null.
 */
PP_API pp_status pp_graph_end(const pp_device* device, pp_graph** graph);

/** Enqueues the recorded work on device->stream, any stream of the graph's device. It reads and writes the buffers it was
 * recorded with. */
PP_API pp_status pp_graph_launch(const pp_device* device, const pp_graph* graph);

/** Frees a graph; null is allowed. Work that it has launched goes on to its end. */
PP_API pp_status pp_graph_destroy(pp_graph* graph);

#ifdef __cplusplus
}
#endif
