package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.kernels.DType;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.ModuleStatistics;
import org.prunepeft.search.Observation;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

class RoundStatisticsTest extends TrainingTest {
  private static final int STEPS = 4;
  private static final int BATCH = EMULATED ? 2 : 6;

  /** In how many of them outputs are measured. */
  private static final int MEASURED = 2;

  /** Half the smallest number of float16: up to here weights are 0 in it. */
  private static final double ZERO = 0x1p-25;

  /** Halves are of the first epoch: a later one has the same examples in both. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void sumsAreThoseOfTheWeightsAndOfTheSummedGradients(int epochs) {
    PeftConfig config = loraAndAdapters(3, 0.2);
    EncodedDataset data = SmallTask.draw(BATCH * STEPS, TestSeed.draw());
    Trainer trainer =
        keep(
            new Trainer(
                keep(SmallBert.create()), TrainingSettings.builder().batchSize(BATCH).build()));
    PeftModules modules = modules(config, candidates(config));
    Head head = head();
    CriterionSettings criteria = new CriterionSettings(DType.FLOAT16, 0.1, 0.05, MEASURED);
    try (RoundStatistics statistics =
        new RoundStatistics(modules, criteria, epochs * STEPS, epochs)) {
      fill(groups(modules, head), TestSeed.random());
      shrinkSome(modules);
      TrainingRun run = new TrainingRun(modules, head, data, epochs, 5, null);
      List<Map<String, float[]>> gradients = new ArrayList<>();
      long[] measuredTokens = new long[2];
      int step = 0;
      for (int epoch = 1; epoch <= epochs; epoch++) {
        for (Batch batch : new Batches(data, BATCH).shuffled(5, epoch)) {
          groups(modules, head).forEach(FlatParameters::clearGradients);
          new SingleStep(run, batch, step, statistics)
              .loss(trainer, GradientPasses.Mode.of(ComputeDevice.CPU));
          if (step < STEPS && step % (STEPS / MEASURED) == 0) {
            measuredTokens[2 * step / STEPS] += batch.tokens();
          }
          step++;
          gradients.add(gradients(modules));
        }
      }

      Observation observation = statistics.observe();

      check(modules, gradients, observation.whole());
      check(modules, gradients.subList(0, STEPS / 2), observation.firstHalf());
      check(modules, gradients.subList(STEPS / 2, STEPS), observation.secondHalf());
      assertTrue(measuredTokens[0] > 0 && measuredTokens[1] > 0);
      if (epochs > 1) {
        return;
      }
      observation
          .whole()
          .forEach(
              (name, whole) -> {
                // All elements of a token are a module's, so tokens weigh as elements do.
                double mean =
                    (measuredTokens[0] * observation.firstHalf().get(name).meanAbsOutput()
                            + measuredTokens[1]
                                * observation.secondHalf().get(name).meanAbsOutput())
                        / (measuredTokens[0] + measuredTokens[1]);
                assertEquals(mean, whole.meanAbsOutput(), 1e-12 * mean, name);
              });
    }
  }

  /** So far that some are 0 as float16, and some are not. */
  private static void shrinkSome(PeftModules modules) {
    for (FlatParameters group : modules.groups().values()) {
      for (String name : group.names()) {
        float[] values = Torch.toFloats(group.get(name).detach());
        for (int i = 0; i < values.length; i += 5) {
          values[i] *= 1e-7f;
        }
        group.put(name, values);
      }
    }
  }

  private static List<FlatParameters> groups(PeftModules modules, Head head) {
    List<FlatParameters> groups = new ArrayList<>(modules.groups().values());
    groups.add(head.parameters());
    return groups;
  }

  private static Map<String, float[]> gradients(PeftModules modules) {
    Map<String, float[]> gradients = new LinkedHashMap<>();
    for (Candidate candidate : modules.candidates()) {
      FlatParameters group = modules.groups().get(candidate.type());
      for (String name : modules.parameterNames(candidate)) {
        gradients.put(name, Torch.toFloats(group.gradient(name)));
      }
    }
    return gradients;
  }

  private static void check(
      PeftModules modules, List<Map<String, float[]>> steps, Map<String, ModuleStatistics> found) {
    for (Candidate candidate : modules.candidates()) {
      ModuleStatistics statistics = found.get(candidate.name());
      FlatParameters group = modules.groups().get(candidate.type());
      double[] sums = new double[7];
      // A gradient is summed up over the steps in float32; the rest in float64, there and here.
      double ofSteps = Rounding.gamma(steps.size(), Rounding.FLOAT32);
      double[] off = new double[3];
      long count = 0;
      long nonZero = 0;
      for (String name : modules.parameterNames(candidate)) {
        float[] weights = Torch.toFloats(group.get(name));
        count += weights.length;
        for (int i = 0; i < weights.length; i++) {
          double w = weights[i];
          nonZero += Math.abs(w) > ZERO ? 1 : 0;
          double g = 0;
          double magnitudes = 0;
          for (Map<String, float[]> step : steps) {
            g += step.get(name)[i];
            magnitudes += Math.abs(step.get(name)[i]);
          }
          double error = ofSteps * magnitudes;
          off[0] += error * (2 * Math.abs(g) + error);
          off[1] += error;
          off[2] += Math.abs(w) * error;
          double[] terms = {w * w, Math.abs(w), g * g, Math.abs(g), w * g, Math.abs(w * g), 0};
          terms[6] = Math.abs(w) < 0.05 ? 1 : 0;
          for (int t = 0; t < terms.length; t++) {
            sums[t] += terms[t];
          }
        }
      }
      String name = candidate.name();
      assertEquals(count, statistics.count(), name);
      double share = 2 * Rounding.gamma(count + 2, Rounding.FLOAT64);
      Rounding.assertNear(sums[0], statistics.sumW2(), share * sums[0], name);
      Rounding.assertNear(sums[1], statistics.sumAbsW(), share * sums[1], name);
      Rounding.assertNear(sums[2], statistics.sumG2(), off[0] + share * sums[2], name);
      Rounding.assertNear(sums[3], statistics.sumAbsG(), off[1] + share * sums[3], name);
      Rounding.assertNear(sums[4], statistics.sumWg(), off[2] + share * sums[5], name);
      Rounding.assertNear(sums[5], statistics.sumAbsWg(), off[2] + share * sums[5], name);
      assertEquals(sums[6], statistics.below(), 0, name);
      assertTrue(nonZero < count, name);
      assertEquals(nonZero, statistics.nonZero(), 0, name);
      assertTrue(statistics.meanAbsOutput() > 0, name);
    }
  }
}
