prunepeft_family(
  src/encoder
  ENTRY encoder.cpp cpu/encoder_cpu.cpp
  BF16_KERNELS cpu/encoder_kernels.cpp)  # both types
