package org.prunepeft.search.peer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.hipparchus.linear.Array2DRowRealMatrix;
import org.hipparchus.linear.LUDecomposition;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.RealMatrix;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.RandomSelection;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.peer.PeerResult.Trial;
import org.prunepeft.testing.TestSeed;

/** The posterior against the same by the trials' covariance, as a Gaussian process has it. */
class ModuleValuesTest {
  private static final int COUNT = 7;
  private static final SearchSpace SPACE = Modules.alike(COUNT);
  private static final long BUDGET = 300;
  private static final double PRIOR = 0.5 / (COUNT * 3.0 / 7 * 4.0 / 7);

  private final Random random = TestSeed.random();
  private final List<Trial> trials = new ArrayList<>();

  /** What is written down of trials: a row each, less the columns' means; and the metrics. */
  private final RealMatrix design;

  private final double[] standardised;
  private final double unit;

  ModuleValuesTest() {
    int count = 4 + random.nextInt(8);
    double[][] rows = new double[count][COUNT];
    double[] metrics = new double[count];
    for (int i = 0; i < count; i++) {
      List<String> names = Modules.names(RandomSelection.keep(SPACE, BUDGET, random.nextLong()));
      metrics[i] = 0.7 + 0.1 * random.nextGaussian();
      trials.add(Trial.of(names, metrics[i]));
      for (int j = 0; j < COUNT; j++) {
        rows[i][j] = names.contains("m" + j) ? 1 : 0;
      }
    }
    for (int j = 0; j < COUNT; j++) {
      double sum = 0;
      for (double[] row : rows) {
        sum += row[j] / count;
      }
      for (double[] row : rows) {
        row[j] -= sum;
      }
    }
    double mean = 0;
    for (double metric : metrics) {
      mean += metric / count;
    }
    double squares = 0;
    for (double metric : metrics) {
      squares += (metric - mean) * (metric - mean) / count;
    }
    unit = Math.sqrt(squares);
    standardised = new double[count];
    for (int i = 0; i < count; i++) {
      standardised[i] = (metrics[i] - mean) / unit;
    }
    design = new Array2DRowRealMatrix(rows);
  }

  /** Of the trials' metrics, as they are correlated by the modules that they share. */
  private RealMatrix inverseCovariance() {
    RealMatrix covariance =
        design
            .multiply(design.transpose())
            .scalarMultiply(PRIOR)
            .add(MatrixUtils.createRealIdentityMatrix(trials.size()).scalarMultiply(0.5));
    return new LUDecomposition(covariance).getSolver().getInverse();
  }

  @Test
  void meansAreThoseOfAGaussianProcess() {
    double[] expected =
        design
            .transpose()
            .scalarMultiply(PRIOR * unit)
            .operate(inverseCovariance().operate(standardised));
    assertArrayEquals(expected, ModuleValues.of(SPACE, BUDGET, trials).mean(), 1e-10);
  }

  @Test
  void drawsHaveItsMeansAndVariances() {
    RealMatrix explained =
        design
            .transpose()
            .multiply(inverseCovariance())
            .multiply(design)
            .scalarMultiply(PRIOR * PRIOR);
    ModuleValues values = ModuleValues.of(SPACE, BUDGET, trials);
    double[] mean = values.mean();
    int draws = 20_000;
    double[] sums = new double[COUNT];
    double[] squares = new double[COUNT];
    for (int i = 0; i < draws; i++) {
      double[] draw = values.draw(random);
      for (int j = 0; j < COUNT; j++) {
        sums[j] += draw[j] - mean[j];
        squares[j] += (draw[j] - mean[j]) * (draw[j] - mean[j]);
      }
    }
    for (int j = 0; j < COUNT; j++) {
      double variance = unit * unit * (PRIOR - explained.getEntry(j, j));
      assertEquals(0, sums[j] / draws, 6 * Math.sqrt(variance / draws));
      assertEquals(variance, squares[j] / draws, 6 * variance * Math.sqrt(2.0 / draws));
    }
  }

  @Test
  void withoutTrialsModulesAreAlike() {
    assertArrayEquals(new double[COUNT], ModuleValues.of(SPACE, BUDGET, List.of()).mean());
  }
}
