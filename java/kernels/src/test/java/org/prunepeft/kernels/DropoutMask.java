package org.prunepeft.kernels;

import java.util.List;

/** Masks as the CPU's kernels draw them; every device draws the same. */
final class DropoutMask {
  private DropoutMask() {}

  /**
   * What a kept element of x [m,k] is multiplied by, 0 where it is dropped: D(1), by way of an
   * identity. All ones without dropout.
   */
  static double[][] mask(int m, int k, Dropout dropout, int module) {
    if (m == 0) {
      return new double[0][k];
    }
    double[][] identity = new double[k][k];
    for (int i = 0; i < k; i++) {
      identity[i][i] = 1;
    }
    Buffer s = Buffer.poisoned(m, k);
    LoraBranch branch = new LoraBranch(Buffer.of(identity).matrix(), 1, module, s.matrix(), null);
    Matrix ones = Buffer.filled(1, m, k, k).matrix();
    try (Workspace workspace = new Workspace()) {
      LoraKernels.down(Device.cpu(), ones, List.of(branch), dropout, null, workspace);
    }
    return s.values();
  }
}
