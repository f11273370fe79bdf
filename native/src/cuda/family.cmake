prunepeft_family(src/cuda CUDA device.cu memory.cu tensor_map.cu)
