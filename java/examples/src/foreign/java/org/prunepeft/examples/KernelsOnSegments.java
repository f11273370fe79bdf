package org.prunepeft.examples;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;

/**
 * A LoRA linear on memory of java.lang.foreign, which takes JDK 22 or newer: y = x Wᵀ + s·x Aᵀ Bᵀ.
 * Not compiled by the build, whose classes are those of Java 17; Java runs the source file.
 */
public final class KernelsOnSegments {
  public static void main(String[] arguments) {
    try (Arena arena = Arena.ofConfined();
        Context context = new Context(Device.cpu())) {
      MemorySegment w = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 0, 0, 0, 1, 0);
      MemorySegment a = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 1, 1);
      MemorySegment b = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2);
      MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4, 5, 6);
      MemorySegment s = arena.allocate(ValueLayout.JAVA_FLOAT, 2);
      MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 4);
      try (Linear linear = new Linear(context, matrix(w, 2, 3), null)) {
        LoraModule<Matrix> module = new LoraModule<>(matrix(a, 1, 3), matrix(b, 2, 1), 0.5f);
        List<LoraPass> lora = List.of(new LoraPass(module, matrix(s, 2, 1)));
        linear.forward(context, matrix(x, 2, 3), lora, matrix(y, 2, 2));
      }
      float[] outputs = y.toArray(ValueLayout.JAVA_FLOAT);
      System.out.printf("y %s %s %s %s%n", outputs[0], outputs[1], outputs[2], outputs[3]);
    }
  }

  /** Of up to 2 GiB; beyond that, Matrix.at(segment.address(), rows, cols). */
  private static Matrix matrix(MemorySegment segment, long rows, long cols) {
    return Matrix.wrap(
        segment.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer(), rows, cols);
  }
}
