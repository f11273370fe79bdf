prunepeft_family(
  src/linear
  ENTRY linear.cpp lora.cpp modules.cpp paths.cpp quantized.cpp cpu/linear_cpu.cpp cpu/lora_cpu.cpp cpu/quantizer_cpu.cpp
  KERNELS cpu/linear_kernels.cpp cpu/lora_kernels.cpp cpu/quantizer_kernels.cpp
  BF16_KERNELS cpu/lora_bf16_kernels.cpp
  TILE_KERNELS cpu/linear_bf16_kernels.cpp
  CUDA cuda/lora_cuda.cu cuda/rates.cu
  CUDA_KERNELS cuda/activate.cu cuda/decode.cu cuda/down.cu cuda/grad.cu cuda/up.cu cuda/linear_cuda.cu cuda/linear_codes.cu
               cuda/linear_warpgroup.cu cuda/linear_with_s.cu cuda/linear_with_ds.cu cuda/multi_lora_cuda.cu cuda/narrow_copies.cu)
