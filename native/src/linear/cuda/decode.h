// The launcher of decode.cu.
#pragma once

#include "cuda/device.h"
#include "linear/plan.h"

namespace prunepeft::cuda {
/** Enqueues the decoding of a matrix of the extents of `to`. */
cudaError_t run_decode(const void* codes, const Decoding& decoding, const pp_matrix& to, cudaStream_t stream);
}  // namespace prunepeft::cuda
