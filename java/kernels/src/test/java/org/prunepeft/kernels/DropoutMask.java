package org.prunepeft.kernels;

import java.util.List;

/** Masks as the CPU's kernels draw them; every device draws the same. */
final class DropoutMask {
  private DropoutMask() {}

  /**
   * What a kept element of x [m,k] is multiplied by, 0 where it is dropped: D(1), by way of an
   * identity. All ones without dropout.
   */
  static double[][] mask(int m, int k, Dropout dropout) {
    if (m == 0) {
      return new double[0][k];
    }
    double[][] identity = new double[k][k];
    for (int i = 0; i < k; i++) {
      identity[i][i] = 1;
    }
    Buffer s = Buffer.poisoned(m, k);
    LoraModule<Matrix> module =
        new LoraModule<>(Buffer.of(identity).matrix(), null, 0, null, 1, dropout);
    Matrix ones = Buffer.filled(1, m, k, k).matrix();
    try (Context context = new Context(Device.cpu())) {
      Linear.down(context, ones, List.of(new LoraPass(module, s.matrix())));
    }
    return s.values();
  }
}
