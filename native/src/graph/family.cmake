prunepeft_family(src/graph ENTRY graph.cpp CUDA cuda/graph_cuda.cu)
