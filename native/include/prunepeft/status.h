// Status codes, error messages and the conventions that every header of this library shares.
//
// Conventions
//   * Matrices are row-major with a leading dimension (tensor.h). M counts tokens (rows), K input features, N output features,
//     r the LoRA rank, m the bottleneck width.
//   * Pointers belong to the caller, always; the library keeps none after a call returns, opaque objects excepted.
//   * A pointer to an opaque object that this library did not give, or that is freed, is PP_INVALID_ARGUMENT and is not
//     followed, unless a new object lies there by now. That other memory is there, nobody checks; a size of more than 4 PiB is
//     refused.
//   * Memory named `[device]`, and every matrix, lies in the memory of the context's device; all else lies in host memory.
//   * A call enqueues its work on the context's stream and does not wait; on the CPU it is done when the call returns. What it
//     needs beside its operands it takes from the context's workspace.
//   * Results are deterministic: the same inputs give the same bits on the same device; on the CPU at any thread count.
//   * M == 0 is a no-op that returns PP_OK. Outputs never overlap inputs unless a function says that they may.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PP_API __attribute__((visibility("default")))

/* Follows the name of an enumeration, so that each int is a value of it in C++ too, one to be refused among them. */
#ifdef __cplusplus
#define PP_ENUM : int
#else
#define PP_ENUM
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a call returns. Anything but PP_OK leaves a message for pp_last_error() and the outputs unwritten. */
typedef enum pp_status PP_ENUM {
  PP_OK = 0,
  /** An argument is out of its range; the message names the argument, its value and the range. */
  PP_INVALID_ARGUMENT = 1,
  /** The call is sound, but this build or this device cannot do it; the message says what can. */
  PP_UNSUPPORTED = 2,
  /** No device of that kind is there; the message gives the driver's reason. */
  PP_NO_DEVICE = 3,
  /** Memory for a plan or a workspace could not be had. */
  PP_OUT_OF_MEMORY = 4,
  /** The device reported an error. */
  PP_DEVICE_ERROR = 5
} pp_status;

/**
 * The message of the last failed call on the calling thread, UTF-8; empty if none failed. The text stays valid until the
 * next call on this thread.
 */
PP_API const char* pp_last_error(void);

/**
 * The library's version, "major.minor.patch". The file's name has none: a program that was compiled with the headers of another
 * version compares this first, by major, and by minor too while major is 0, since structures and functions may differ.
 */
PP_API const char* pp_version(void);

#ifdef __cplusplus
}
#endif
