package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.util.Set;
import org.bytedeco.javacpp.IntPointer;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * By which path a LoRA linear is computed as a whole; all give the same within the type's rounding.
 */
public enum LoraPath {
  /** A library's product with W, and the products of rank r around it: {@link LoraKernels}. */
  SPLIT,
  /** One product of the library, whose inner dimension is longer by r. */
  BORDERED,
  /** Our own product: {@link Linear}. */
  FUSED;

  /**
   * A path for each direction.
   *
   * @param forward that of y
   * @param backward that of dX and the gradients
   */
  public record Both(LoraPath forward, LoraPath backward) {}

  /**
   * What should be the fastest of the paths that a caller can take: on CUDA by measurement, and
   * where there is none by the device's properties; on the CPU {@link #FUSED}.
   *
   * @param device where the matrices lie
   * @param dtype of x and y
   * @param rows M, 0 or more
   * @param inputs K, 1 or more
   * @param outputs N, 1 or more
   * @param rank r, that of several modules together; 0: the frozen linear alone
   * @param dropout whether some of x is dropped: then the backward pass is never {@link #BORDERED}
   * @param possible with {@link #SPLIT} or {@link #FUSED} among them
   * @return a path for each direction
   * @throws KernelException if a number is out of its range, or the device cannot be asked
   */
  public static Both choose(
      Device device,
      DType dtype,
      long rows,
      long inputs,
      long outputs,
      long rank,
      boolean dropout,
      Set<LoraPath> possible) {
    try (IntPointer forward = new IntPointer(1);
        IntPointer backward = new IntPointer(1)) {
      check(
          LibPrunePeft.pp_lora_choose_paths(
              device.struct(),
              dtype.ordinal(),
              rows,
              inputs,
              outputs,
              rank,
              dropout ? 1 : 0,
              possible.stream().mapToInt(path -> 1 << path.ordinal()).sum(),
              forward,
              backward));
      return new Both(values()[forward.get()], values()[backward.get()]);
    }
  }
}
