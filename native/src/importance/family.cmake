prunepeft_family(
  src/importance
  ENTRY importance.cpp cpu/importance_cpu.cpp
  KERNELS cpu/importance_kernels.cpp
  CUDA cuda/magnitude_cuda.cu
  CUDA_KERNELS cuda/importance_cuda.cu)
