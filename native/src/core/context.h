// What entry points take from a call's context.
#pragma once

#include "prunepeft/tensor.h"

namespace prunepeft {

/** *memory: at least `bytes` bytes of the context's workspace, which grows for it; null for none. Of any alignment. */
pp_status take_workspace(const pp_context& context, size_t bytes, void** memory);

/** Has take_workspace find so many bytes. */
pp_status reserve_workspace(const pp_context& context, size_t bytes);

/** The workspace of a call that has several parts, one after the other. */
class Room {
 public:
  /**
   * Calls `parts(room)` twice: to measure what the parts need, and then, where there is room for the largest, for their work.
   * So a call without room has written nothing.
   */
  template <class Parts>
  static pp_status of(const pp_context& context, Parts parts) {
    Room room(context);
    pp_status status = parts(room);
    if (status == PP_OK) status = reserve_workspace(context, room.most_);
    room.measures_ = false;
    return status == PP_OK ? parts(room) : status;
  }

  /** A part that takes so many bytes: `work(memory)`, once there is room for all parts. */
  template <class Work>
  pp_status with(size_t bytes, Work work) {
    if (measures_) {
      if (most_ < bytes) most_ = bytes;
      return PP_OK;
    }
    void* memory;
    const pp_status status = take_workspace(context_, bytes, &memory);
    return status == PP_OK ? work(memory) : status;
  }

  const pp_device& device() const { return context_.device; }

 private:
  explicit Room(const pp_context& context) : context_(context) {}

  const pp_context& context_;
  size_t most_ = 0;
  bool measures_ = true;
};

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
