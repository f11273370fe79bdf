prunepeft_family(
  src/loss
  ENTRY loss.cpp cpu/loss_cpu.cpp
  BF16_KERNELS cpu/loss_kernels.cpp)  # both types
