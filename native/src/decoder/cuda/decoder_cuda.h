// The functions of prunepeft/decoder.h on CUDA buffers, in any type. Arguments have been checked by the C functions of the same
// names, and matrices have rows.
#pragma once

#include "prunepeft/decoder.h"

namespace prunepeft::cuda {
pp_status rms_norm_forward(const pp_device& device, const pp_rms_norm& norm, const pp_matrix& x, const pp_matrix& y,
                           const pp_matrix* scales);
pp_status rms_norm_backward(const pp_device& device, const pp_rms_norm& norm, const pp_matrix& dy, const pp_matrix& x,
                            const pp_matrix& scales, const pp_matrix& dx);
pp_status rotate(const pp_device& device, const pp_rotary& rotary, const pp_matrix& x, const pp_matrix& y);
pp_status gate_forward(const pp_device& device, pp_gate gate, const pp_matrix& gate_up, const pp_matrix& out);
pp_status gate_backward(const pp_device& device, pp_gate gate, const pp_matrix& dout, const pp_matrix& gate_up,
                        const pp_matrix& dgate_up);
}  // namespace prunepeft::cuda
