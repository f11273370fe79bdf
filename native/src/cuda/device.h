// What launchers share: the device and stream of a call, CUDA errors as status codes, and the parts of a workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/gpu.cuh"
#include "prunepeft/tensor.h"

namespace prunepeft::cuda {
/** PP_OK, or the status and message for `error`, which `action` met. */
pp_status to_status(cudaError_t error, const char* action);

/**
 * Makes a device current while it lives. Then the thread has again what it had: a context, or none, for to choose a device that
 * the process has not used yet would make its context, some hundred megabytes of it.
 */
class CurrentDevice {
 public:
  explicit CurrentDevice(const pp_device& device);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  pp_status status() const { return status_; }

 private:
  bool pushed_ = false;
  pp_status status_ = PP_OK;
};

inline cudaStream_t stream_of(const pp_device& device) {
  return static_cast<cudaStream_t>(device.stream);
}

/** Hands out parts of a workspace in order, each aligned to 16 bytes. Without memory it only counts. */
class Workspace {
 public:
  explicit Workspace(void* memory) : next_(reinterpret_cast<uintptr_t>(memory)), counting_(memory == nullptr) { align(); }

  template <class T>
  T* take(int64_t n) {
    T* part = counting_ ? nullptr : reinterpret_cast<T*>(next_);
    next_ += static_cast<size_t>(n) * sizeof(T);
    align();
    return part;
  }

  /** For a workspace without memory: bytes that parts like these need at any address. */
  size_t bytes() const { return next_ + kAlignment; }

 private:
  static constexpr size_t kAlignment = 16;
  void align() { next_ = (next_ + kAlignment - 1) / kAlignment * kAlignment; }

  uintptr_t next_;
  bool counting_;
};

/** Calls `function` with a value of the element type as its argument: dispatch(dtype, [&](auto element) { ... }). */
template <class Function>
auto dispatch(pp_dtype dtype, Function&& function) {
  switch (dtype) {
    case PP_FLOAT16:
      return function(__half{});
    case PP_BFLOAT16:
      return function(__nv_bfloat16{});
    default:
      return function(0.0f);
  }
}
}  // namespace prunepeft::cuda
