#include "encoder/cpu/encoder_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_KERNELS_OF_TYPE(EncoderKernels, encoder_kernels, encoder_cpu)

}  // namespace prunepeft
