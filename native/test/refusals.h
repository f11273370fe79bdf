// Calls with good arguments of which a test spoils one: it is named, and nothing is written. A family's `Calls` have a method
// for each of its functions, and `outputs()`, copies of all that these write.
#pragma once

#include "buffers.h"

/** What the calls of all families have. */
struct CallsInContext {
  pp_context context{kCpu, nullptr};

  CallsInContext() { go_to(PP_CPU); }
  ~CallsInContext() { pp_workspace_destroy(own_); }
  CallsInContext(const CallsInContext&) = delete;
  /** On a device of the type, with a workspace of its own if it can be had. */
  void go_to(pp_device_type type) {
    pp_workspace_destroy(own_);
    own_ = nullptr;
    context.device.type = type;
    pp_workspace_create(&context.device, &own_);
    context.workspace = own_;
  }

 private:
  pp_workspace* own_ = nullptr;
};

/** The calls that refuse a spoiled argument, and part of what they say. */
template <class Calls>
struct Refusal {
  std::vector<pp_status (Calls::*)()> calls;
  void (*spoil)(Calls&);
  const char* part;
  pp_status status = PP_INVALID_ARGUMENT;
};

template <class Calls>
void check_refused(const std::vector<Refusal<Calls>>& refusals) {
  for (const Refusal<Calls>& refusal : refusals) {
    for (const auto call : refusal.calls) {
      Calls c;
      refusal.spoil(c);
      const std::vector<Matrix> before = c.outputs();
      check::context() = std::string("spoiled argument: ") + refusal.part;
      CHECK_FAILS((c.*call)(), refusal.status, refusal.part);
      CHECK(c.outputs() == before);
    }
  }
}

/** To where a device's memory can lie, for a device that is not there. */
inline void align(pp_matrix& matrix) {
  matrix.data = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(matrix.data) & ~uintptr_t{7});
}

inline bool has_gpu() {
  int32_t gpus = 0;
  pp_device_count(PP_CUDA, &gpus);
  return gpus > 0;
}
