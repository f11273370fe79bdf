// How sums over rows of which each chunk has a slot are shared out. For the kernels' translation units alone.
#pragma once

#include "core/call.h"
#include "core/product.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/**
 * Chunks of rows as items of work. Where there are more threads than chunks, a chunk is cut into parts of columns, whole blocks
 * of kDepth: each element of a slot is summed in the same order then, by another thread.
 */
class ChunkParts {
 public:
  ChunkParts(const RowChunks& chunks, int64_t columns) : chunks_(chunks.count), columns_(columns) {
    const int64_t threads = call_threads(), blocks = quotient(columns, kDepth);
    const int64_t wanted = threads > chunks_ ? least(quotient(2 * threads, chunks_), blocks) : 1;
    part_ = quotient(blocks, wanted) * kDepth;
    parts_ = quotient(columns, part_);
  }
  int64_t items() const { return chunks_ * parts_; }
  bool cut() const { return parts_ > 1; }
  int64_t chunk(int64_t item) const { return item / parts_; }
  int64_t first(int64_t item) const { return item % parts_ * part_; }
  int64_t last(int64_t item) const { return least(first(item) + part_, columns_); }

 private:
  /** Rounded up. */
  static int64_t quotient(int64_t n, int64_t size) { return (n + size - 1) / size; }

  int64_t chunks_, columns_, part_, parts_;
};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
