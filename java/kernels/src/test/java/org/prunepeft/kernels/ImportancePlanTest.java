package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.BytePointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.kernels.binding.LibPrunePeft;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

class ImportancePlanTest {
  private static final Device CPU = Device.cpu();

  private final Random random = TestSeed.random();

  @Test
  void statisticsOfEachModuleAreSummedOverItsSegments() {
    Buffer w = weights(1001);
    Buffer g = Buffer.random(random, 1, 1001);
    Buffer more = weights(77);
    Buffer moreGradients = Buffer.random(random, 1, 77);
    Buffer other = weights(13);
    List<ImportancePlan.Segment> segments =
        List.of(
            new ImportancePlan.Segment(w.matrix(), g.matrix(), 0, 0),
            new ImportancePlan.Segment(other.matrix(), null, 2, 1),
            new ImportancePlan.Segment(more.matrix(), moreGradients.matrix(), 0, 0));

    try (ImportancePlan plan = new ImportancePlan(CPU, segments, 3, 2)) {
      double[][] rows = plan.statistics(DType.FLOAT16, new float[] {0.25f, 0.75f});

      assertEquals(3, rows.length);
      assertNear(
          sum(
              reference(w.values()[0], g.values()[0], 0.25),
              reference(more.values()[0], moreGradients.values()[0], 0.25)),
          rows[0]);
      assertNear(new double[10], rows[1]);
      assertNear(reference(other.values()[0], new double[13], 0.75), rows[2]);
      assertEquals(0, plan.statistics(DType.FLOAT16, null)[0][LibPrunePeft.PP_BELOW]);
    }
  }

  @Test
  void planReadsWhatTheBuffersHoldNow() {
    Buffer w = Buffer.random(random, 1, 5);
    try (ImportancePlan plan = plan(w)) {
      plan.statistics(DType.FLOAT32, null);
      new org.bytedeco.javacpp.FloatPointer(w.matrix().data()).put(1, 2, 3, 4, 5);
      assertEquals(55, plan.statistics(DType.FLOAT32, null)[0][LibPrunePeft.PP_SUM_W2]);
    }
  }

  @Test
  void weightCountsAsZeroInTheTypeThatIsNamed() {
    Buffer w = Buffer.of(new double[][] {{0, -0.0, 1e-30, 2e-8, 1e-3, -1}});
    try (ImportancePlan plan = plan(w)) {
      assertEquals(4, plan.statistics(DType.FLOAT32, null)[0][LibPrunePeft.PP_NONZERO]);
      // Half of float16's least positive number is 2^-25, about 2.98e-8.
      assertEquals(2, plan.statistics(DType.FLOAT16, null)[0][LibPrunePeft.PP_NONZERO]);
    }
  }

  @Test
  void quantileIsTheElementOfThatRankInEachGroup() {
    Buffer a = weights(997);
    Buffer b = weights(31);
    List<ImportancePlan.Segment> segments =
        List.of(
            new ImportancePlan.Segment(a.matrix(), null, 0, 0),
            new ImportancePlan.Segment(b.matrix(), null, 1, 0),
            new ImportancePlan.Segment(b.matrix(), null, 1, 2));
    float[] both = new float[997 + 31];
    System.arraycopy(a.floats(), 0, both, 0, 997);
    System.arraycopy(b.floats(), 0, both, 997, 31);

    try (ImportancePlan plan = new ImportancePlan(CPU, segments, 2, 3)) {
      for (double q : new double[] {0, 0.1, 0.5, 0.937, 1}) {
        assertArrayEquals(
            new float[] {quantile(both, q), 0, quantile(b.floats(), q)}, plan.quantiles(q), 0);
      }
    }
  }

  @Test
  void quantileOutOfRangeIsRefused() {
    try (ImportancePlan plan = plan(weights(5))) {
      for (double q : new double[] {-0.1, 1.1, Double.NaN}) {
        KernelException e = assertThrows(KernelException.class, () -> plan.quantiles(q));
        assertTrue(e.getMessage().contains("q"), e.getMessage());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void outputMagnitudeSumsTheRowsOfTheMask(Activation activation) {
    Buffer p = Buffer.random(random, 23, 7, 9);
    Buffer q = Buffer.random(random, 41, 7, 8);
    Buffer bias = Buffer.random(random, 1, 41);
    byte[] mask = new byte[23];
    for (int i = 0; i < mask.length; i++) {
      mask[i] = (byte) (i % 3 == 0 ? 0 : i);
    }
    double all = 0;
    double masked = 0;
    double allLimit = 0;
    double maskedLimit = 0;
    double gamma = Estimate.gamma(7);
    Estimate out =
        p.estimate()
            .activated(activation)
            .times(q.estimate().transposed(), gamma)
            .plusRow(bias.estimate(), gamma);
    // Magnitudes are summed up along a row in float32.
    double ofSum = Estimate.gamma(41);
    for (int i = 0; i < mask.length; i++) {
      double row = out.magnitude(i);
      double limit = out.error(i) + ofSum * (row + out.error(i));
      all += row;
      allLimit += limit;
      masked += mask[i] == 0 ? 0 : row;
      maskedLimit += mask[i] == 0 ? 0 : limit;
    }

    ModuleOutput output = new ModuleOutput(p.matrix(), activation, q.matrix(), bias.matrix());
    try (Context context = new Context(CPU);
        BytePointer rows = new BytePointer(mask)) {
      Rounding.assertNear(masked, output.magnitude(context, rows), maskedLimit, "some rows");
      Rounding.assertNear(all, output.magnitude(context, null), allLimit, "all rows");
    }
  }

  @Test
  void maskWithFewerBytesThanRowsIsRefused() {
    Matrix p = Buffer.random(random, 5, 2).matrix();
    Matrix q = Buffer.random(random, 3, 2).matrix();
    ModuleOutput output = new ModuleOutput(p, Activation.IDENTITY, q, null);
    try (Context context = new Context(CPU);
        BytePointer rows = new BytePointer(new byte[4])) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> output.magnitude(context, rows));
      assertEquals("rowMask must have 5 bytes, got 4", e.getMessage());
    }
  }

  @Test
  void segmentOfAModuleThatIsNotThereIsRefused() {
    Matrix w = weights(5).matrix();
    List<ImportancePlan.Segment> segments = List.of(new ImportancePlan.Segment(w, null, 1, 0));
    KernelException e =
        assertThrows(KernelException.class, () -> new ImportancePlan(CPU, segments, 1, 1));
    assertEquals(1, e.status());
    assertTrue(e.getMessage().contains("module"), e.getMessage());
  }

  @Test
  void planWithoutSegmentsIsRefused() {
    assertThrows(KernelException.class, () -> new ImportancePlan(CPU, List.of(), 1, 1));
  }

  @Test
  void gradientsOfAnotherLengthAreRefused() {
    Matrix w = weights(5).matrix();
    Matrix g = weights(4).matrix();
    assertThrows(IllegalArgumentException.class, () -> new ImportancePlan.Segment(w, g, 0, 0));
  }

  @Test
  void thresholdsMustBeOneAGroup() {
    try (ImportancePlan plan = plan(weights(5))) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> plan.statistics(DType.FLOAT32, new float[2]));
      assertEquals("thresholds must have 1 values, got 2", e.getMessage());
    }
  }

  @Test
  void closedPlanIsRefused() {
    ImportancePlan plan = plan(weights(5));
    plan.close();
    plan.close();
    assertThrows(IllegalStateException.class, () -> plan.quantiles(0.5));
    assertThrows(IllegalStateException.class, () -> plan.statistics(DType.FLOAT32, null));
  }

  private static ImportancePlan plan(Buffer weights) {
    return new ImportancePlan(
        CPU, List.of(new ImportancePlan.Segment(weights.matrix(), null, 0, 0)), 1, 1);
  }

  /** Random weights with zeros among them, and some that are 0 in float16 only. */
  private Buffer weights(int n) {
    double[][] values = Buffer.random(random, 1, n).values();
    for (int i = 2; i < n; i += 10) {
      values[0][i] = 0;
      values[0][i - 1] *= 1e-9;
    }
    return Buffer.of(values);
  }

  private static float quantile(float[] weights, double q) {
    float[] sizes = weights.clone();
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = Math.abs(sizes[i]);
    }
    Arrays.sort(sizes);
    return sizes[(int) Math.floor(q * (sizes.length - 1))];
  }

  /** In the order of {@code pp_statistic}. */
  private static double[] reference(double[] w, double[] g, double threshold) {
    double[] row = new double[10];
    for (int i = 0; i < w.length; i++) {
      double wg = w[i] * g[i];
      row[0]++;
      row[1] += w[i] * w[i];
      row[2] += Math.abs(w[i]);
      row[3] += Math.abs(w[i]) > 0x1p-25 ? 1 : 0;
      row[4] += Math.abs(w[i]) < threshold ? 1 : 0;
      row[5] += g[i] * g[i];
      row[6] += Math.abs(g[i]);
      row[7] += wg;
      row[8] += Math.abs(wg);
      row[9] += wg * wg;
    }
    return row;
  }

  private static double[] sum(double[] a, double[] b) {
    double[] c = a.clone();
    for (int i = 0; i < c.length; i++) {
      c[i] += b[i];
    }
    return c;
  }

  private static void assertNear(double[] expected, double[] actual) {
    for (int i = 0; i < actual.length; i++) {
      boolean count = i == 0 || i == 3 || i == 4;
      // Σ w·g cancels, so it is held to the size of what is summed. Each sum has as many terms as
      // it counts, here and there, and (w·g)² passes two roundings before.
      double size = i == 7 ? expected[8] : expected[i];
      double limit = count ? 0 : 2 * Rounding.gamma(expected[0] + 2, Rounding.FLOAT64) * size;
      Rounding.assertNear(expected[i], actual[i], limit, "statistic " + i);
    }
  }
}
