// Decoding of quantised weights on CUDA buffers.
#pragma once

#include "linear/plan.h"

namespace prunepeft::cuda {
/** What pp_dequantize says; arguments have been checked. */
pp_status dequantize(const pp_device& device, const void* codes, const Decoding& decoding, const pp_matrix& to);
}  // namespace prunepeft::cuda
