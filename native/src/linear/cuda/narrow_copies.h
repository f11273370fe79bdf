// The copy engine brings matrices whose rows begin at multiples of 16 bytes. Narrow operands of a product by warpgroups lie
// otherwise where a module's rank is not a multiple of eight: they are copied before, and W and x never are.
#pragma once

#include "cuda/tensor_map.h"

namespace prunepeft::cuda {
constexpr int kMostNarrowCopies = 2 * 16;  // left and right, of each module

/** Copies to come, whose memory is the caller's, aligned to 16 bytes. */
struct NarrowCopies {
  struct Copy {
    BulkMatrix from;
    void* to;
    int64_t ldto;
  };
  Copy of[kMostNarrowCopies];
  int32_t count;
};

/** Elements of 16 bits that a copy of the matrix takes; 0 if it can be brought as it lies. */
int64_t narrow_copy_elements(const BulkMatrix& matrix);

/** The matrix, if it can be brought as it lies; else its copy at `memory`, which is one of the copies to come. */
BulkMatrix add_narrow_copy(const BulkMatrix& matrix, void* memory, NarrowCopies* copies);

/** Enqueues all copies as one launch, or none. What lies between the copies' rows is not written. */
cudaError_t run_narrow_copies(const NarrowCopies& copies, cudaStream_t stream);
}  // namespace prunepeft::cuda
