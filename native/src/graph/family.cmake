prunepeft_family(src/graph DOOR graph.cpp CUDA cuda/graph_cuda.cu)
