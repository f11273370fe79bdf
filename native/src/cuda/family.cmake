prunepeft_family(src/cuda CUDA branch.cu device.cu memory.cu tensor_map.cu)
