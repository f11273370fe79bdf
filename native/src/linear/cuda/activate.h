// σ of a matrix, as a launch on a stream.
#pragma once

#include "cuda/device.h"
#include "prunepeft/adapter.h"

namespace prunepeft::cuda {
/** to [rows,cols], without padding, of the same dtype becomes σ of `from`. */
cudaError_t run_activate(const pp_matrix& from, pp_activation activation, void* to, cudaStream_t stream);
}  // namespace prunepeft::cuda
