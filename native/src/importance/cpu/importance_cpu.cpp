#include "importance/cpu/importance_cpu.h"

#include "core/isa.h"
#include "core/workspace.h"

namespace prunepeft {

PP_KERNEL_TABLES(ImportanceKernels, importance_kernels)

const ImportanceKernels& importance_cpu() {
  return table_in_use(portable::importance_kernels, avx2::importance_kernels, avx512::importance_kernels);
}

// Each size mirrors what the kernel of its name carves from the workspace.

size_t importance_cpu_workspace(const pp_importance_plan& plan) {
  WorkspaceSize statistics, quantile;
  statistics.bytes(static_cast<int64_t>(plan.items.size()), kItemSums, sizeof(double));
  quantile.bytes(kMostHistograms, kHistogramBins, sizeof(uint32_t));
  return statistics.total() > quantile.total() ? statistics.total() : quantile.total();
}

size_t output_magnitude_cpu_workspace(int64_t M, int64_t N, int64_t r) {
  WorkspaceSize size;
  size.floats(widest_padded(N), r);                                  // Q packed
  size.bytes((M + kBlockRows - 1) / kBlockRows, 1, sizeof(double));  // a sum for each block of rows
  return size.total();
}

}  // namespace prunepeft
