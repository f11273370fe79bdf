#include "decoder/cpu/decoder_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_BF16_KERNEL_TABLES(DecoderTables, decoder_kernels)

const DecoderKernels& decoder_cpu(pp_dtype dtype) {
  const DecoderTables& tables =
      table_in_use(portable::decoder_kernels, avx2::decoder_kernels, avx512::decoder_kernels, avx512_bf16::decoder_kernels);
  return dtype == PP_FLOAT32 ? tables.float32 : tables.bfloat16;
}

}  // namespace prunepeft
