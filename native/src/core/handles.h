// The objects that callers hold by pointer: a pointer to none of them is refused, and never followed.
#pragma once

#include "prunepeft/tensor.h"

namespace prunepeft {

enum class Handle { kHostMemory, kDeviceMemory, kWorkspace, kStream, kGraph, kLinear, kImportancePlan };

/** PP_OK, or PP_INVALID_ARGUMENT with a message about the argument `name`. */
pp_status check_handle(Handle kind, const char* name, const void* object);

/** Notes an object; PP_OUT_OF_MEMORY where it cannot. */
pp_status add_handle(Handle kind, const void* object);
/** As check_handle; from then on it is none. */
pp_status remove_handle(Handle kind, const char* name, const void* object);

/** *to = object, for a caller to hold; what cannot be noted is ended by `end()`. */
template <class Object, class End>
pp_status give_handle(Handle kind, Object* object, Object** to, End end) {
  const pp_status status = add_handle(kind, object);
  if (status == PP_OK)
    *to = object;
  else
    end();
  return status;
}

/** Ends an object that a caller held by `end()`, once, whoever else tries; what cannot be ended stays the caller's. */
template <class End>
pp_status end_handle(Handle kind, const char* name, const void* object, End end) {
  pp_status status = remove_handle(kind, name, object);
  if (status != PP_OK) return status;
  status = end();
  if (status != PP_OK) add_handle(kind, object);
  return status;
}

}  // namespace prunepeft
