package org.prunepeft.examples;

import java.util.List;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.DeviceBuffer;
import org.prunepeft.kernels.LoraBranch;
import org.prunepeft.kernels.LoraKernels;
import org.prunepeft.kernels.Workspace;

/** The kernels on plain buffers, without LibTorch: S = X Aᵀ. One word chooses the device. */
public final class KernelsOnBuffers {
  public static void main(String[] arguments) {
    boolean cuda = arguments.length > 0 && arguments[0].equals("cuda");
    float[] s = down(cuda ? Device.cuda(0, null) : Device.cpu());
    System.out.printf("%.1f %.1f%n%.1f %.1f%n", s[0], s[1], s[2], s[3]);
  }

  private static float[] down(Device device) {
    try (Workspace workspace = new Workspace();
        DeviceBuffer x = DeviceBuffer.of(device, 1, 2, 3, 4, 5, 6);
        DeviceBuffer a = DeviceBuffer.of(device, 1, 0, 1, 0, 1, 0);
        DeviceBuffer s = new DeviceBuffer(device, 4 * Float.BYTES)) {
      LoraBranch branch = new LoraBranch(a.matrix(2, 3), 1f, 0, s.matrix(2, 2), null);
      LoraKernels.down(device, x.matrix(2, 3), List.of(branch), null, null, workspace);
      device.synchronize();
      return s.floats(4);
    }
  }
}
