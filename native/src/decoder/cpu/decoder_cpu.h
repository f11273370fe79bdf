// The CPU side of decoder.h, behind decoder.cpp, which has checked the arguments. float32 and bfloat16.
#pragma once

#include "core/both_types.h"
#include "prunepeft/decoder.h"

namespace prunepeft {

/** The kernels of one instruction set and element type; as the functions of decoder.h. */
struct DecoderKernels {
  void (*rms_norm_forward)(const pp_rms_norm& norm, const pp_matrix& x, const pp_matrix& y, const pp_matrix* scales);
  void (*rms_norm_backward)(const pp_rms_norm& norm, const pp_matrix& dy, const pp_matrix& x, const pp_matrix& scales,
                            const pp_matrix& dx);
  void (*rotate)(const pp_rotary& rotary, const pp_matrix& x, const pp_matrix& y);
  void (*gate_forward)(pp_gate gate, const pp_matrix& gate_up, const pp_matrix& out);
  void (*gate_backward)(pp_gate gate, const pp_matrix& dout, const pp_matrix& gate_up, const pp_matrix& dgate_up);
};

/** The kernels of the instruction set in use. */
const DecoderKernels& decoder_cpu(pp_dtype dtype);

}  // namespace prunepeft
