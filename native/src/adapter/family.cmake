prunepeft_family(
  src/adapter
  ENTRY adapter.cpp cpu/adapter_cpu.cpp
  KERNELS cpu/adapter_kernels.cpp
  BF16_KERNELS cpu/adapter_bf16_kernels.cpp
  CUDA cuda/adapter_cuda.cu)
