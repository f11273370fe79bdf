// The CPU side of loss.h, behind loss.cpp, which has checked the arguments. float32 and bfloat16.
#pragma once

#include "core/both_types.h"
#include "prunepeft/loss.h"

namespace prunepeft {

/** The kernels of one instruction set and element type; as the functions of loss.h. */
struct LossKernels {
  void (*cross_entropy)(const pp_cross_entropy& target, const pp_matrix& z, const pp_matrix& losses, const pp_matrix* dz);
};

/** The kernels of the instruction set in use. */
const LossKernels& loss_cpu(pp_dtype dtype);

}  // namespace prunepeft
