package org.prunepeft.torch;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;

/** LibTorch's CUDA streams. Loaded where LibTorch's GPU build is, and only there. */
final class CudaStreams {
  private CudaStreams() {}

  /**
   * The stream that LibTorch's operations of the calling thread go to.
   *
   * @return a cudaStream_t; null: the default stream
   */
  static Pointer current(int device) {
    try (CUDAStream stream = torch_cuda.getCurrentCUDAStream((byte) device)) {
      return stream.stream();
    }
  }
}
