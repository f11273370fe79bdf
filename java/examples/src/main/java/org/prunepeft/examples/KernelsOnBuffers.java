package org.prunepeft.examples;

import org.prunepeft.kernels.CublasProduct;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.DeviceBuffer;
import org.prunepeft.kernels.LoraLinear;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.Workspace;

/**
 * A LoRA linear on plain buffers, without LibTorch: y = x Wᵀ + s·x Aᵀ Bᵀ and the gradients by x, A
 * and B. One word chooses the device; the path follows from it and from the shape.
 */
public final class KernelsOnBuffers {
  private static final float SCALE = 0.5f;

  public static void main(String[] arguments) {
    boolean cuda = arguments.length > 0 && arguments[0].equals("cuda");
    train(cuda ? Device.cuda(0, null) : Device.cpu());
  }

  private static void train(Device device) {
    // W [2,3] with B [2,1] on its right and A [1,3] below it; x [2,3] and dY [2,2] with a column
    // for the rank.
    float[] operand = {1, 0, 0, 1, 0, 1, 0, 2, 1, 1, 1, 0};
    float[] input = {1, 2, 3, 0, 4, 5, 6, 0};
    float[] gradient = {1, 1, 0, 1, 1, 0};
    try (CublasProduct library = device.isCuda() ? new CublasProduct(device) : null;
        Workspace workspace = new Workspace();
        DeviceBuffer g = DeviceBuffer.of(device, operand);
        DeviceBuffer x = DeviceBuffer.of(device, input);
        DeviceBuffer dy = DeviceBuffer.of(device, gradient);
        DeviceBuffer y = new DeviceBuffer(device, 4 * Float.BYTES);
        DeviceBuffer dx = new DeviceBuffer(device, 6 * Float.BYTES);
        DeviceBuffer da = new DeviceBuffer(device, 3 * Float.BYTES);
        DeviceBuffer db = new DeviceBuffer(device, 2 * Float.BYTES);
        LoraLinear linear = new LoraLinear(library, g.matrix(3, 4), 1, SCALE, 0)) {
      Matrix wide = x.matrix(2, 4);
      linear.forward(device, wide, null, y.matrix(2, 2), workspace);
      linear.backward(
          device,
          wide,
          dy.matrix(2, 3),
          null,
          dx.matrix(2, 3),
          da.matrix(1, 3),
          db.matrix(2, 1),
          false,
          workspace);
      device.synchronize();
      print("y", y.floats(4));
      print("dX", dx.floats(6));
      print("dA", da.floats(3));
      print("dB", db.floats(2));
      System.out.println("paths " + linear.paths(device, 2, null));
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
