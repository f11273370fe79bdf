package org.prunepeft.examples;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;

/**
 * A LoRA linear on direct buffers, as other libraries give them, without a copy: y = x Wᵀ + s·x Aᵀ
 * Bᵀ.
 */
public final class KernelsOnByteBuffers {
  public static void main(String[] arguments) {
    FloatBuffer w = direct(1, 0, 0, 0, 1, 0);
    FloatBuffer a = direct(1, 1, 1);
    FloatBuffer b = direct(1, 2);
    FloatBuffer x = direct(1, 2, 3, 4, 5, 6);
    FloatBuffer s = direct(new float[2]);
    FloatBuffer y = direct(new float[4]);
    try (Context context = new Context(Device.cpu());
        Linear linear = new Linear(context, Matrix.wrap(w, 2, 3), null)) {
      LoraModule<Matrix> module =
          new LoraModule<>(Matrix.wrap(a, 1, 3), Matrix.wrap(b, 2, 1), 0.5f);
      List<LoraPass> lora = List.of(new LoraPass(module, Matrix.wrap(s, 2, 1)));
      linear.forward(context, Matrix.wrap(x, 2, 3), lora, Matrix.wrap(y, 2, 2));
    }
    System.out.printf("y %s %s %s %s%n", y.get(0), y.get(1), y.get(2), y.get(3));
  }

  private static FloatBuffer direct(float... values) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(values.length * Float.BYTES);
    return bytes.order(ByteOrder.nativeOrder()).asFloatBuffer().put(values).flip();
  }
}
