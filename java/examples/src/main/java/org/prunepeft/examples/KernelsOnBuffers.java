package org.prunepeft.examples;

import java.util.List;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.DeviceBuffer;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LinearBranch;
import org.prunepeft.kernels.LoraBranch;
import org.prunepeft.kernels.LoraKernels;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.Workspace;

/**
 * A LoRA linear on plain buffers, without LibTorch: y = x Wᵀ + s·x Aᵀ Bᵀ and the gradients by x, A
 * and B. One word chooses the device.
 */
public final class KernelsOnBuffers {
  private static final float SCALE = 0.5f;

  public static void main(String[] arguments) {
    boolean cuda = arguments.length > 0 && arguments[0].equals("cuda");
    train(cuda ? Device.cuda(0, null) : Device.cpu());
  }

  private static void train(Device device) {
    try (Workspace workspace = new Workspace();
        DeviceBuffer xValues = DeviceBuffer.of(device, 1, 2, 3, 4, 5, 6);
        DeviceBuffer wValues = DeviceBuffer.of(device, 1, 0, 0, 0, 1, 0);
        DeviceBuffer aValues = DeviceBuffer.of(device, 1, 1, 1);
        DeviceBuffer bValues = DeviceBuffer.of(device, 1, 2);
        DeviceBuffer dyValues = DeviceBuffer.of(device, 1, 1, 1, 1);
        DeviceBuffer s = new DeviceBuffer(device, 2 * Float.BYTES);
        DeviceBuffer ds = new DeviceBuffer(device, 2 * Float.BYTES);
        DeviceBuffer y = new DeviceBuffer(device, 4 * Float.BYTES);
        DeviceBuffer dx = new DeviceBuffer(device, 6 * Float.BYTES);
        DeviceBuffer da = new DeviceBuffer(device, 3 * Float.BYTES);
        DeviceBuffer db = new DeviceBuffer(device, 2 * Float.BYTES);
        Linear linear = new Linear(device, wValues.matrix(2, 3), null)) {
      Matrix x = xValues.matrix(2, 3);
      Matrix a = aValues.matrix(1, 3);
      Matrix b = bValues.matrix(2, 1);
      Matrix dy = dyValues.matrix(2, 2);

      LinearBranch forward = new LinearBranch(a, b, SCALE, 0, 0, s.matrix(2, 1));
      linear.forward(device, x, List.of(forward), null, y.matrix(2, 2), workspace);

      LoraKernels.gradUp(
          device, dy, b, s.matrix(2, 1), SCALE, ds.matrix(2, 1), db.matrix(2, 1), false, workspace);
      LinearBranch backward = new LinearBranch(a, b, SCALE, 0, 0, ds.matrix(2, 1));
      linear.gradInput(device, dy, List.of(backward), null, dx.matrix(2, 3), workspace);
      LoraBranch branch = new LoraBranch(a, SCALE, 0, ds.matrix(2, 1), da.matrix(1, 3));
      LoraKernels.gradDown(device, x, List.of(branch), null, false, workspace);
      device.synchronize();
      print("y", y.floats(4));
      print("dX", dx.floats(6));
      print("dA", da.floats(3));
      print("dB", db.floats(2));
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
