// Memory of a CUDA device that other libraries of the process hold.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Gives back memory of a CUDA device that another library of the process holds without a use; returns 1 if it did, or 0. Called
 * on any thread, within a call that needs memory. It may not call this library.
 */
typedef int32_t (*pp_release_memory)(int32_t device_index);

/**
 * Sets what is called where memory of a CUDA device cannot be had, for the whole process: by pp_allocate, for a workspace that
 * grows and for an importance plan, which then try once more; not while a graph is recorded. Null, as at first: nothing.
 */
PP_API pp_status pp_set_release_memory(pp_release_memory release);

#ifdef __cplusplus
}
#endif
