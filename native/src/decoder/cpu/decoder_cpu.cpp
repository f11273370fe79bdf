#include "decoder/cpu/decoder_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_KERNELS_OF_TYPE(DecoderKernels, decoder_kernels, decoder_cpu)

}  // namespace prunepeft
