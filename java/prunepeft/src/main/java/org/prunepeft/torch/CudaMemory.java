package org.prunepeft.torch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.cuda.CUDAAllocator;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * What tensors take of a GPU's memory, as LibTorch's allocator counts it: PyTorch's {@code
 * max_memory_allocated}. Loaded where LibTorch's GPU build is, and only there.
 */
final class CudaMemory implements MemoryMark {
  private final byte device;

  CudaMemory(int device) {
    this.device = (byte) device;
  }

  @Override
  public long take() {
    try (PointerScope scope = new PointerScope()) {
      CUDAAllocator allocator = torch_cuda.getAllocator();
      if (!allocator.initialized()) {
        return 0;
      }
      // The first of three: of all blocks, of small and of large ones.
      long most = allocator.getDeviceStats(device).allocated_bytes().peak();
      allocator.resetPeakStats(device);
      return most;
    }
  }
}
