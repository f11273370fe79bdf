// What an encoder's layer has beside the kernels of other families, behind encoder.cpp, which has checked the arguments.
// float32 and bfloat16.
#pragma once

#include "core/both_types.h"
#include "prunepeft/encoder.h"

namespace prunepeft {

/** The kernels of one instruction set and element type. */
struct EncoderKernels {
  /** y = norm(x + residual), residual being null where there is none. */
  void (*layer_norm)(const pp_layer_norm& norm, const pp_matrix& x, const pp_matrix* residual, const pp_matrix& y);
  /** x = σ(x). */
  void (*activate)(pp_activation activation, const pp_matrix& x);
};

/** The kernels of the instruction set in use. */
const EncoderKernels& encoder_cpu(pp_dtype dtype);

}  // namespace prunepeft
