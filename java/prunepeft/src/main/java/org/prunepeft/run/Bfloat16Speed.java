package org.prunepeft.run;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.DType;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Isa;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.model.Precision;

/** Whether this processor is fast in bfloat16. */
final class Bfloat16Speed {
  /** A product of this many rows, and as many columns in and out; a few milliseconds. */
  private static final int SIZE = 384;

  private static final int TRIES = 3;

  private Bfloat16Speed() {}

  /**
   * The warning to somebody who asks for bfloat16 where the processor has no instructions for it.
   */
  static Optional<String> warning(Precision precision) {
    if (precision != Precision.BF16 || Kernels.isa().compareTo(Isa.AVX512_BF16) >= 0) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "precision bf16: this processor has no instructions for it (avx512_bf16): its products take %.1f times as long as in float32",
            productSeconds(DType.BFLOAT16) / productSeconds(DType.FLOAT32)));
  }

  /** The best of a few. */
  private static double productSeconds(DType dtype) {
    long best = Long.MAX_VALUE;
    try (PointerScope scope = new PointerScope();
        Context context = new Context(Device.cpu())) {
      Matrix x = zeros(dtype);
      Matrix y = zeros(dtype);
      try (Linear linear = new Linear(context, zeros(dtype), null)) {
        for (int i = 0; i < TRIES; i++) {
          long start = System.nanoTime();
          linear.forward(context, x, List.of(), y);
          best = Math.min(best, System.nanoTime() - start);
        }
      }
    }
    return best;
  }

  /** Zero is the same bits in each type. */
  private static Matrix zeros(DType dtype) {
    return new Matrix(new FloatPointer(new float[SIZE * SIZE]), dtype, SIZE, SIZE, SIZE);
  }
}
