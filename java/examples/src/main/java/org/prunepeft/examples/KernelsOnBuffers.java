package org.prunepeft.examples;

import java.util.List;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.CublasProduct;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.DeviceBuffer;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;

/**
 * A LoRA linear on plain buffers, without LibTorch: y = x Wᵀ + s·x Aᵀ Bᵀ and the gradients by x, A
 * and B. One word chooses the device; the linear's path follows from it and from the shape.
 */
public final class KernelsOnBuffers {
  private static final float SCALE = 0.5f;

  public static void main(String[] arguments) {
    boolean cuda = arguments.length > 0 && arguments[0].equals("cuda");
    train(cuda ? Device.cuda(0, null) : Device.cpu());
  }

  private static void train(Device device) {
    try (CublasProduct library = device.isCuda() ? new CublasProduct(device) : null;
        Context context = new Context(device);
        DeviceBuffer w = DeviceBuffer.of(device, 1, 0, 0, 0, 1, 0);
        DeviceBuffer a = DeviceBuffer.of(device, 1, 1, 1);
        DeviceBuffer b = DeviceBuffer.of(device, 1, 2);
        DeviceBuffer x = DeviceBuffer.of(device, 1, 2, 3, 4, 5, 6);
        DeviceBuffer dy = DeviceBuffer.of(device, 1, 1, 1, 1);
        DeviceBuffer s = new DeviceBuffer(device, 2 * Float.BYTES);
        DeviceBuffer ds = new DeviceBuffer(device, 2 * Float.BYTES);
        DeviceBuffer y = new DeviceBuffer(device, 4 * Float.BYTES);
        DeviceBuffer dx = new DeviceBuffer(device, 6 * Float.BYTES);
        DeviceBuffer da = new DeviceBuffer(device, 3 * Float.BYTES);
        DeviceBuffer db = new DeviceBuffer(device, 2 * Float.BYTES);
        Linear linear = new Linear(context, w.matrix(2, 3), null, library)) {
      LoraModule<Matrix> module = new LoraModule<>(a.matrix(1, 3), b.matrix(2, 1), SCALE);
      List<LoraPass> lora =
          List.of(
              new LoraPass(
                  module, s.matrix(2, 1), ds.matrix(2, 1), da.matrix(1, 3), db.matrix(2, 1)));
      linear.forward(context, x.matrix(2, 3), lora, y.matrix(2, 2));
      linear.backward(context, dy.matrix(2, 2), x.matrix(2, 3), lora, dx.matrix(2, 3));
      device.synchronize();
      print("y", y.floats(4));
      print("dX", dx.floats(6));
      print("dA", da.floats(3));
      print("dB", db.floats(2));
      System.out.println(linear.paths(context, 2, List.of(module)));
    }
  }

  private static void print(String name, float[] values) {
    StringBuilder line = new StringBuilder(name);
    for (float value : values) {
      line.append(' ').append(value);
    }
    System.out.println(line);
  }
}
