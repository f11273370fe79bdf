// What doors take from a call's context.
#pragma once

#include "prunepeft/tensor.h"

namespace prunepeft {

/** *memory: at least `bytes` bytes of the context's workspace, which grows for it; null for none. Of any alignment. */
pp_status take_workspace(const pp_context& context, size_t bytes, void** memory);

}  // namespace prunepeft
