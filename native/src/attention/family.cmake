prunepeft_family(
  src/attention
  ENTRY attention.cpp cpu/attention_cpu.cpp
  BF16_KERNELS cpu/attention_kernels.cpp)  # both types
