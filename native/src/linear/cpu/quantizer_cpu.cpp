#include "linear/cpu/quantizer_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_KERNEL_TABLES(QuantizerKernels, quantizer_kernels)

const QuantizerKernels& quantizer_cpu() {
  return table_in_use(portable::quantizer_kernels, avx2::quantizer_kernels, avx512::quantizer_kernels);
}

}  // namespace prunepeft
