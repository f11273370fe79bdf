#include "loss/cpu/loss_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_BF16_KERNEL_TABLES(LossTables, loss_kernels)

const LossKernels& loss_cpu(pp_dtype dtype) {
  const LossTables& tables =
      table_in_use(portable::loss_kernels, avx2::loss_kernels, avx512::loss_kernels, avx512_bf16::loss_kernels);
  return dtype == PP_FLOAT32 ? tables.float32 : tables.bfloat16;
}

}  // namespace prunepeft
