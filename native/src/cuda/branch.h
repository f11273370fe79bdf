// A branch beside a stream: work that may run while the stream does other work, as a branch of a graph too.
#pragma once

#include "cuda/device.h"

namespace prunepeft::cuda {
/**
 * What is enqueued on `stream()` waits for what the caller's stream had when the branch was made, and join(), which a capture
 * can't end without, has the caller's stream wait for it. In a capture both are edges of the graph. Each stream of a caller has
 * one other for its branches, which is made at its first, and stays: it is in order, so that calls that share it wait for each
 * other and no more.
 */
class Branch {
 public:
  explicit Branch(const pp_device& device);
  Branch(const Branch&) = delete;
  /** Has ready what the device's stream has for its branches, so that no memory is wanting once work is under way. */
  static cudaError_t prepare(const pp_device& device);
  /** Of the fork. */
  cudaError_t status() const { return status_; }
  cudaStream_t stream() const { return of_.stream; }
  cudaError_t join();

  /** What a caller's stream has for its branches. */
  struct Place {
    cudaStream_t stream;
    cudaEvent_t forked, joined;
  };

 private:
  cudaStream_t main_;
  Place of_ = {};
  cudaError_t status_;
};

/** Frees what a stream that is about to be freed has for its branches. */
void free_branch(const pp_device& device);
}  // namespace prunepeft::cuda
