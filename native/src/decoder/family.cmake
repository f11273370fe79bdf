prunepeft_family(
  src/decoder
  ENTRY decoder.cpp cpu/decoder_cpu.cpp
  BF16_KERNELS cpu/decoder_kernels.cpp  # both types
  CUDA_KERNELS cuda/decoder_cuda.cu)
