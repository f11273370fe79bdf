#include "adapter/adapter_cpu.h"

#include "core/isa.h"
#include "core/workspace.h"

namespace prunepeft {

PP_KERNEL_TABLES(AdapterKernels, adapter_kernels)

const AdapterKernels& adapter_cpu() {
  return table_in_use(portable::adapter_kernels, avx2::adapter_kernels, avx512::adapter_kernels);
}

// Each size mirrors what the kernel of its name carves from the workspace.

size_t adapter_forward_cpu_workspace(int64_t K, int64_t m) {
  WorkspaceSize size;
  size.floats(K, widest_padded(m));  // D packed
  size.floats(m, widest_padded(K));  // U packed
  return size.total();
}

size_t adapter_backward_cpu_workspace(int64_t M, int64_t K, int64_t m) {
  const RowChunks chunks(M);
  WorkspaceSize size;
  size.floats(K, widest_padded(m));                              // U packed
  size.floats(m, widest_padded(K));                              // D packed
  size.floats(chunks.count * 2, kBlockRows * widest_padded(m));  // σ(z) and dz of a block of rows, for each chunk
  size.floats(chunks.count * (2 * K + 1), widest_padded(m));     // each chunk's dU, dD transposed, and dd
  size.floats(chunks.count, widest_padded(K));                   // each chunk's du
  return size.total();
}

}  // namespace prunepeft
