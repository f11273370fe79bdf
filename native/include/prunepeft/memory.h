// Memory of a CUDA device that other libraries of the process hold.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Gives back memory of a CUDA device that another library of the process holds without a use; returns 1 if it did, or 0. Called
 * on any thread, within a call that needs memory. It may leave another device current. It may not call this library, nor throw.
 */
typedef int32_t (*pp_release_memory)(int32_t device_index);

/**
 * Sets what is called where memory of a CUDA device cannot be had, for the whole process: by pp_allocate, for a workspace that
 * grows and for an importance plan, which then try once more. A workspace asks for twice its size first, without this, then for
 * what it needs. Not while the stream of the call is recorded; whether other threads record is the callback's to know. Null, as
 * at first: nothing.
 */
PP_API pp_status pp_set_release_memory(pp_release_memory release);

#ifdef __cplusplus
}
#endif
