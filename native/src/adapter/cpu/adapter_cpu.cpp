#include "adapter/cpu/adapter_cpu.h"

#include "core/isa.h"
#include "core/workspace.h"

namespace prunepeft {

PP_KERNEL_TABLES(AdapterKernels, adapter_kernels)
PP_BF16_KERNEL_TABLES(AdapterKernels, adapter_bf16_kernels)

const AdapterKernels& adapter_cpu(pp_dtype dtype) {
  if (dtype == PP_BFLOAT16) {
    return table_in_use(portable::adapter_bf16_kernels, avx2::adapter_bf16_kernels, avx512::adapter_bf16_kernels,
                        avx512_bf16::adapter_bf16_kernels);
  }
  return table_in_use(portable::adapter_kernels, avx2::adapter_kernels, avx512::adapter_kernels);
}

// Each size mirrors what the kernel of its name carves from the workspace.

size_t adapter_forward_cpu_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  WorkspaceSize size;
  if (dtype == PP_BFLOAT16) {
    size.floats((K + 1) / 2, widest_padded(m));         // D packed
    size.floats((m + 1) / 2, widest_padded(K));         // U packed
    size.bytes(M, widest_padded(m), sizeof(uint16_t));  // σ(z) rounded
    return size.total();
  }
  size.floats(K, widest_padded(m));  // D packed
  size.floats(m, widest_padded(K));  // U packed
  return size.total();
}

size_t adapter_backward_cpu_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m) {
  const RowChunks chunks(M);
  WorkspaceSize size;
  if (dtype == PP_BFLOAT16) {
    size.floats((K + 1) / 2, widest_padded(m));                            // U packed
    size.floats((m + 1) / 2, widest_padded(K));                            // D packed
    size.floats(activation_blocks(M) * 3, kBlockRows * widest_padded(m));  // σ(z) and dz of blocks of rows
    size.floats(call_threads(), kBlockRows * widest_padded(m));            // one of them as pairs of rows, for each thread
  } else {
    size.floats(K, widest_padded(m));                                      // U packed
    size.floats(m, widest_padded(K));                                      // D packed
    size.floats(activation_blocks(M) * 2, kBlockRows * widest_padded(m));  // σ(z) and dz of blocks of rows
  }
  size.floats(chunks.count * (2 * K + 1), widest_padded(m));  // each chunk's dU, dD transposed, and dd
  size.floats(chunks.count, widest_padded(K));                // each chunk's du
  return size.total();
}

}  // namespace prunepeft
