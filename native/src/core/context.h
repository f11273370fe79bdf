// What entry points take from a call's context.
#pragma once

#include "prunepeft/tensor.h"

namespace prunepeft {

/** *memory: at least `bytes` bytes of the context's workspace, which grows for it; null for none. Of any alignment. */
pp_status take_workspace(const pp_context& context, size_t bytes, void** memory);

}  // namespace prunepeft

// For tests alone; not part of the library's interface.
extern "C" {
/**
 * From now on each call gets a block of exactly the bytes that it asks for, at an odd address: on the CPU poisoned and between
 * guards, so that neither what a workspace held nor what lies beside it can go unnoticed.
 */
PP_API void pp_internal_exact_workspaces(int on);
/** Whether no call has written beside its block; 1 for CUDA, where others look for that. */
PP_API int pp_internal_workspace_intact(const pp_workspace* workspace);
}
