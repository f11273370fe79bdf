// What lets calls wait for the device, and begin with nothing of theirs in the L2 cache: memory of other contents that it
// reads.
#pragma once

#include <algorithm>

#include "device.h"
#include "read.h"

namespace gpu_check {
#if defined(PRUNEPEFT_EMULATED)
constexpr size_t kLeastReadBytes = 1 << 10, kMostReadBytes = 1 << 12;
#else
constexpr size_t kLeastReadBytes = size_t{128} << 20, kMostReadBytes = size_t{1} << 30;
#endif

inline int attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, 0), "cudaDeviceGetAttribute");
  return value;
}

/** Memory larger than the L2 cache. */
class ColdReads {
 public:
  ColdReads()
      : memory_(std::clamp(2 * static_cast<size_t>(attribute(cudaDevAttrL2CacheSize)), kLeastReadBytes, kMostReadBytes)),
        blocks_(attribute(cudaDevAttrMultiProcessorCount)) {
    memory_.poison();
  }

  /** Has the default stream read it so many times. */
  void enqueue(int times) const {
    for (int i = 0; i < times; i++) read_memory(memory_, blocks_);
  }

 private:
  Memory memory_;
  int blocks_;
};
}  // namespace gpu_check
