package org.prunepeft.torch;

import java.util.function.IntPredicate;
import java.util.function.Supplier;
import org.prunepeft.kernels.Kernels;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is done where a GPU's memory is short. Three hold some of it without a use: LibTorch's
 * allocator, which keeps what was freed; our kernels, whose scratch memory LibTorch does not know;
 * and recordings, whose temporary tensors lie in a pool of their own, in which work that goes call
 * by call has no part.
 */
public final class GpuMemory {
  private static final Logger LOG = LoggerFactory.getLogger(GpuMemory.class);

  /** Whether LibTorch's GPU build is loaded. */
  private static volatile boolean served;

  private GpuMemory() {}

  /**
   * Has our kernels take what LibTorch keeps without a use, besides whom they ask already.
   * LibTorch's GPU build is loaded.
   */
  static synchronized void serveKernels() {
    if (!served) {
      IntPredicate libTorch = device -> CudaRecorder.emptyCacheUnlessRecording();
      IntPredicate before = Kernels.releaseMemoryBy(libTorch);
      if (before != null) {
        Kernels.releaseMemoryBy(device -> libTorch.test(device) | before.test(device));
      }
      served = true;
    }
  }

  /**
   * Does work, and does it once more without recordings if a GPU's memory was short: {@link
   * #freed}.
   *
   * @param work changes nothing before its end, or nothing that it does not do again
   * @param <T> of what the work returns
   * @return what the work returns
   * @throws GpuMemoryException if the memory does not suffice
   */
  public static <T> T retrying(Supplier<T> work) {
    try {
      return work.get();
    } catch (RuntimeException e) {
      if (!freed(e)) {
        throw explained(e);
      }
    }
    return explaining(work);
  }

  /**
   * Does work.
   *
   * @param <T> of what the work returns
   * @return what the work returns
   * @throws GpuMemoryException if a GPU's memory does not suffice
   */
  public static <T> T explaining(Supplier<T> work) {
    try {
      return work.get();
    } catch (RuntimeException e) {
      throw explained(e);
    }
  }

  /**
   * {@return a {@link GpuMemoryException} if that is what a failure is about, else itself}
   *
   * @param failure what some work threw
   */
  public static RuntimeException explained(RuntimeException failure) {
    return GpuMemoryException.of(failure);
  }

  /**
   * Where work failed because a GPU's memory is short, and recordings hold some: gives these up,
   * for good, with a warning. What they record goes call by call from then on.
   *
   * @param failure what the work threw
   * @return whether there is more memory now than there was
   */
  public static boolean freed(RuntimeException failure) {
    if (!GpuMemoryException.isMeant(failure)) {
      return false;
    }
    if (!RecordedWork.giveUpAll()) {
      return false;
    }
    if (served) {
      CudaRecorder.emptyCacheUnlessRecording();
    }
    LOG.warn(
        "the GPU's memory is short: CUDA graphs are given up, whose memory is free then, and training goes on call by call");
    return true;
  }
}
