#include "encoder/cpu/encoder_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_BF16_KERNEL_TABLES(EncoderTables, encoder_kernels)

const EncoderKernels& encoder_cpu(pp_dtype dtype) {
  const EncoderTables& tables =
      table_in_use(portable::encoder_kernels, avx2::encoder_kernels, avx512::encoder_kernels, avx512_bf16::encoder_kernels);
  return dtype == PP_FLOAT32 ? tables.float32 : tables.bfloat16;
}

}  // namespace prunepeft
