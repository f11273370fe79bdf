// Sizes and carving of workspaces.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/inline.h"

namespace prunepeft {

constexpr int64_t kCacheLine = 64;

/** The widest vector of any instruction set, so that sizes don't depend on the one in use. */
constexpr int64_t kWidestVector = 16;

/** The most pairs of bfloat16 that an instruction set takes in a step, likewise: a row of a tile register (tiles.h). */
constexpr int64_t kWidestPairs = 16;

/** Columns padded to whole vectors of any instruction set. */
static PP_INLINE int64_t widest_padded(int64_t columns) {
  return (columns + kWidestVector - 1) / kWidestVector * kWidestVector;
}

/** Adds up what a call needs; saturates instead of overflowing, and such a workspace can't be given. */
class WorkspaceSize {
 public:
  PP_INLINE void floats(int64_t count, int64_t times = 1) { bytes(count, times, sizeof(float)); }
  PP_INLINE void bytes(int64_t count, int64_t times, size_t size) {
    size_t product = size;
    overflow_ = overflow_ || __builtin_mul_overflow(product, static_cast<size_t>(count), &product) ||
                __builtin_mul_overflow(product, static_cast<size_t>(times), &product) ||
                __builtin_add_overflow(product, total_ + kCacheLine, &total_);
  }
  /** With room for aligning the whole to a cache line. */
  PP_INLINE size_t total() const { return overflow_ ? SIZE_MAX : total_ + kCacheLine; }

 private:
  size_t total_ = 0;
  bool overflow_ = false;
};

/** Hands out cache-line aligned pieces of a workspace, in the order of WorkspaceSize. */
class WorkspacePieces {
 public:
  PP_INLINE explicit WorkspacePieces(void* workspace) : next_(reinterpret_cast<uintptr_t>(workspace)) {}
  PP_INLINE float* floats(int64_t count, int64_t times = 1) { return static_cast<float*>(bytes(count, times, sizeof(float))); }
  PP_INLINE void* bytes(int64_t count, int64_t times, size_t size) {
    next_ = (next_ + kCacheLine - 1) / kCacheLine * kCacheLine;
    void* piece = reinterpret_cast<void*>(next_);
    next_ += static_cast<size_t>(count) * static_cast<size_t>(times) * size;
    return piece;
  }

 private:
  uintptr_t next_;
};

/** Rows of x or dY that a sum over rows takes at a time: with 256 columns they stay in the nearest caches. */
constexpr int64_t kBlockRows = 48;

/**
 * Chunks of rows that sums over the rows are cut into. They depend on M alone; each has a slot for its partial sum, and slots
 * are added in order.
 */
struct RowChunks {
  PP_INLINE explicit RowChunks(int64_t M) : rows(chunk_rows(M)), count((M + rows - 1) / rows), M(M) {}
  int64_t rows;
  int64_t count;
  int64_t M;
  PP_INLINE int64_t begin(int64_t chunk) const { return chunk * rows; }
  PP_INLINE int64_t end(int64_t chunk) const { return begin(chunk) + rows < M ? begin(chunk) + rows : M; }

 private:
  static constexpr int64_t kMostChunks = 16;
  static PP_INLINE int64_t chunk_rows(int64_t M) {
    const int64_t even = (M + kMostChunks - 1) / kMostChunks;
    return (even + kBlockRows - 1) / kBlockRows * kBlockRows;
  }
};

}  // namespace prunepeft
