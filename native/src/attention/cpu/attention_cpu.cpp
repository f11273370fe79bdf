#include "attention/cpu/attention_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_BF16_KERNEL_TABLES(AttentionTables, attention_kernels)

const AttentionKernels& attention_cpu(pp_dtype dtype) {
  const AttentionTables& tables = table_in_use(portable::attention_kernels, avx2::attention_kernels, avx512::attention_kernels,
                                               avx512_bf16::attention_kernels);
  return dtype == PP_FLOAT32 ? tables.float32 : tables.bfloat16;
}

}  // namespace prunepeft
