package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.LongPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CrossEntropyTest extends CpuTest {
  @ParameterizedTest
  @CsvSource({"1, 1, 0, 0", "5, 23, 0, 0.2", "3, 1500, 0, 0", "7, 99, 0.5, 0.1"})
  void lossesAndGradientsAreThoseOfTheSoftmax(int rows, int size, float cap, float smoothing) {
    Buffer z = Buffer.random(random, rows, size, size + 3);
    long[] labels = random.longs(rows, 0, size).toArray();
    double[][] losses = new double[rows][1];
    double[][] gradients = new double[rows][size];
    // Each of the softmax's terms passes a sum over the row, and a few roundings of its own (a
    // tanh's, an exponential's): its logarithm is off by so much of 1, and of the logits' size.
    double gamma = Estimate.gamma(size);
    double[][] lossLimits = new double[rows][1];
    double[][] gradientLimits = new double[rows][size];
    for (int i = 0; i < rows; i++) {
      double[] values = z.values()[i];
      double total = 0;
      for (int j = 0; j < size; j++) {
        values[j] = cap == 0 ? values[j] : cap * Math.tanh(values[j] / cap);
        total += Math.exp(values[j]);
      }
      for (int j = 0; j < size; j++) {
        double target = smoothing / size + (j == labels[i] ? 1 - smoothing : 0);
        double slope = cap == 0 ? 1 : 1 - Math.pow(values[j] / cap, 2);
        double p = Math.exp(values[j]) / total;
        losses[i][0] -= target * (values[j] - Math.log(total));
        lossLimits[i][0] += gamma * target * (1 + Math.abs(values[j]) + Math.abs(Math.log(total)));
        gradients[i][j] = (p - target) * slope;
        gradientLimits[i][j] = gamma * (1 + Math.abs(values[j])) * (p + target);
      }
    }
    Buffer seen = Buffer.poisoned(rows, 1);
    try (LongPointer given = new LongPointer(labels)) {
      new CrossEntropy(cap, smoothing).loss(context, given, z.matrix(), seen.matrix(), z.matrix());
    }
    seen.assertHolds(Estimate.within(losses, lossLimits), "losses");
    z.assertHolds(Estimate.within(gradients, gradientLimits), "gradients");
  }

  @Test
  void whatDoesNotFitIsNamed() {
    Buffer z = Buffer.random(random, 2, 4);
    Buffer losses = Buffer.poisoned(2, 1);
    CrossEntropy loss = new CrossEntropy(0, 0);
    try (LongPointer labels = new LongPointer(3, 4);
        LongPointer one = new LongPointer(1).put(0)) {
      String beyond =
          assertThrows(
                  KernelException.class,
                  () -> loss.loss(context, labels, z.matrix(), losses.matrix(), null))
              .getMessage();
      assertTrue(beyond.contains("labels[1] must be in [0, 4), got 4"), beyond);
      String few =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> loss.loss(context, one, z.matrix(), losses.matrix(), null))
              .getMessage();
      assertTrue(few.contains("labels must have 2 numbers, got 1"), few);
    }
  }
}
