package org.prunepeft.kernels;

import java.util.ArrayList;
import java.util.List;

/**
 * A library of plain loops: its products are summed up in float64 on the host, and rounded once. It
 * notes its calls.
 */
final class PlainProduct implements FrozenProduct {
  final List<String> calls = new ArrayList<>();
  private final Device device;

  PlainProduct(Device device) {
    this.device = device;
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  public void forward(Matrix x, Matrix w, Matrix bias, Matrix y) {
    calls.add("forward");
    double[][] row = bias == null ? null : DeviceMatrix.read(device, bias);
    multiply(x, w, true, row, y);
  }

  @Override
  public void gradInput(Matrix dy, Matrix w, Matrix dx) {
    calls.add("gradInput");
    multiply(dy, w, false, null, dx);
  }

  private void multiply(Matrix left, Matrix right, boolean transposed, double[][] row, Matrix out) {
    double[][] a = DeviceMatrix.read(device, left);
    double[][] b = DeviceMatrix.read(device, right);
    double[][] c = new double[(int) out.rows()][(int) out.cols()];
    for (int i = 0; i < c.length; i++) {
      for (int j = 0; j < c[i].length; j++) {
        c[i][j] = row == null ? 0 : row[0][j];
        for (int k = 0; k < a[i].length; k++) {
          c[i][j] += a[i][k] * (transposed ? b[j][k] : b[k][j]);
        }
      }
    }
    DeviceMatrix.write(device, out, c);
  }
}
