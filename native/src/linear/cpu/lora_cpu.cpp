#include "linear/cpu/lora_cpu.h"

#include "core/call.h"
#include "core/isa.h"
#include "core/workspace.h"

namespace prunepeft {

PP_KERNEL_TABLES(LoraKernels, lora_kernels)
PP_BF16_KERNEL_TABLES(LoraGradients, lora_bf16_kernels)

namespace {

/** The most that modules with so many ranks together come to once each is padded to whole vectors. */
int64_t padded_ranks(int64_t ranks) {
  const int64_t modules = ranks < kMostModulesOfARow ? ranks : kMostModulesOfARow;
  return ranks + modules * (kWidestVector - 1);
}

}  // namespace

const LoraKernels& lora_cpu() {
  return table_in_use(portable::lora_kernels, avx2::lora_kernels, avx512::lora_kernels);
}

const LoraGradients& lora_gradients_cpu(pp_dtype dtype) {
  if (dtype == PP_BFLOAT16) {
    return table_in_use(portable::lora_bf16_kernels, avx2::lora_bf16_kernels, avx512::lora_bf16_kernels,
                        avx512_bf16::lora_bf16_kernels);
  }
  return lora_cpu().gradients;
}

// Each size mirrors what the kernel of its name carves from the workspace; those of bfloat16 need no more.

size_t lora_down_cpu_workspace(int64_t K, int64_t ranks) {
  WorkspaceSize size;
  size.floats(K, padded_ranks(ranks));  // A of all modules, packed
  return size.total();
}

size_t lora_up_cpu_workspace(int64_t N, int64_t r) {
  WorkspaceSize size;
  size.floats(widest_padded(N), r);  // B packed
  return size.total();
}

size_t lora_grad_up_cpu_workspace(int64_t M, int64_t N, int64_t r) {
  const RowChunks chunks(M);
  WorkspaceSize size;
  size.floats(N, widest_padded(r));                            // B packed
  size.floats(call_threads(), kBlockRows * widest_padded(r));  // S of a block of rows, for each thread
  size.floats(chunks.count * N, widest_padded(r));             // each chunk's dB
  return size.total();
}

size_t lora_grad_down_cpu_workspace(int64_t M, int64_t K, int64_t ranks) {
  const RowChunks chunks(M);
  WorkspaceSize size;
  size.floats(call_threads(), kBlockRows * padded_ranks(ranks));  // dS of a block of rows, for each thread
  size.floats(chunks.count * K, padded_ranks(ranks));             // each chunk's dA, transposed
  return size.total();
}

size_t lora_grad_input_cpu_workspace(int64_t K, int64_t ranks) {
  WorkspaceSize size;
  size.floats(widest_padded(K), ranks);  // A of all modules, packed
  return size.total();
}

}  // namespace prunepeft
