// What calls are given: matrices, and the context in which they run (device, stream, workspace).
#pragma once

#include "prunepeft/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Element type of a buffer. Sums are taken in float32 or wider, whatever the type of the operands. */
typedef enum pp_dtype PP_ENUM { PP_FLOAT32 = 0, PP_FLOAT16 = 1, PP_BFLOAT16 = 2 } pp_dtype;

/** Bytes of one element: 4 or 2; 0 for an unknown type. */
PP_API size_t pp_dtype_size(pp_dtype dtype);

/**
 * A row-major matrix in memory that somebody else owns: element (i, j) is data[i * ld + j]. A vector of n elements is a matrix
 * of one row. Whether a call reads or writes it, the call says. `data` may be null where rows or cols is 0, and where a
 * function says that the matrix may be left out. On CUDA it is a multiple of the element's bytes; on the CPU any address.
 */
typedef struct pp_matrix {
  void* data;
  /** 0 or more. */
  int64_t rows;
  int64_t cols;
  /** Leading dimension in elements, at least cols. */
  int64_t ld;
  pp_dtype dtype;
} pp_matrix;

typedef enum pp_device_type PP_ENUM { PP_CPU = 0, PP_CUDA = 1 } pp_device_type;

/** Where buffers lie and where work runs. A value: the same functions take CPU and CUDA buffers. */
typedef struct pp_device {
  pp_device_type type;
  /** Ordinal of the CUDA device; ignored on the CPU. */
  int32_t index;
  /** A cudaStream_t on which CUDA work is enqueued (null: the default stream); ignored on the CPU. */
  void* stream;
} pp_device;

/** Scratch memory of a device for calls, one after the other on one stream. It grows to what they need and is used again. */
typedef struct pp_workspace pp_workspace;

/** In which a call runs. A value too: it owns neither the stream nor the workspace. */
typedef struct pp_context {
  pp_device device;
  /** Of the same device. Null: none, for calls that need none; others then give PP_INVALID_ARGUMENT. */
  pp_workspace* workspace;
} pp_context;

/**
 * An empty workspace of the device, whose stream is not looked at. It must not serve two calls at once, nor two streams whose
 * work is not ordered.
 */
PP_API pp_status pp_workspace_create(const pp_device* device, pp_workspace** workspace);

/** Frees a workspace with all its memory; null is allowed. Work and graphs that use it must have ended. */
PP_API pp_status pp_workspace_destroy(pp_workspace* workspace);

/**
 * Makes room in the context's workspace for calls that need `bytes` bytes, as a call itself does where it needs more than there
 * is: the size at least doubles then. On the CPU the memory from before is freed; on CUDA it is kept until
 * pp_workspace_destroy, since work and graphs that were enqueued may still use it. PP_OUT_OF_MEMORY where it cannot be had;
 * PP_INVALID_ARGUMENT while a graph is recorded on the context's stream (graph.h): make the call, or this one, once before.
 */
PP_API pp_status pp_workspace_reserve(const pp_context* context, size_t bytes);

/** All bytes that the workspace holds; 0 for null, or with a message for what is no workspace. */
PP_API size_t pp_workspace_bytes(const pp_workspace* workspace);

#ifdef __cplusplus
}
#endif
