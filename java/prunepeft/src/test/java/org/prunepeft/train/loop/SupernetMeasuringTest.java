package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.Measurements;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;

class SupernetMeasuringTest {
  /** The tokens of the longest text. */
  private static final int LENGTH = SmallBert.CONFIG.positions();

  private static final PeftConfig CONFIG =
      PeftConfig.of(
          LoraConfig.of(3, 5, 0, List.of("query", "value")), AdapterConfig.of(7, Activation.RELU));
  private static final List<Candidate> ALL = CONFIG.space(SmallBert.CONFIG).candidates();

  private final Random random = new Random(TestSeed.draw());
  private final EncodedDataset data = SmallTask.draw(71, random.nextLong());
  private final List<AutoCloseable> open = new ArrayList<>();
  private Trainer trainer;
  private PeftModules supernet;
  private Head head;

  @BeforeEach
  void make() {
    Torch.load();
    Encoder encoder = SmallBert.create();
    open.add(encoder);
    trainer = new Trainer(encoder, TrainingSettings.DEFAULT);
    open.add(trainer);
    supernet = modules(ALL);
    head = new Head(SmallTask.SCHEMA, SmallBert.CONFIG.hidden());
    open.add(head);
    supernet.groups().values().forEach(this::fill);
    fill(head.parameters());
  }

  @AfterEach
  void close() throws Exception {
    for (int i = open.size() - 1; i >= 0; i--) {
      open.get(i).close();
    }
  }

  private PeftModules modules(List<Candidate> candidates) {
    PeftModules modules = new PeftModules(CONFIG, SmallBert.CONFIG, candidates);
    open.add(modules);
    return modules;
  }

  private void fill(FlatParameters parameters) {
    for (String name : parameters.names()) {
      var tensor = parameters.get(name).detach();
      var values = tensor.data_ptr_float();
      for (long i = 0; i < tensor.numel(); i++) {
        values.put(i, (float) (0.2 * random.nextGaussian()));
      }
    }
  }

  private List<Candidate> subset() {
    return ALL.stream().filter(module -> random.nextBoolean()).toList();
  }

  /** The same weights in a supernet that holds no other modules. */
  private PeftModules alone(List<Candidate> subset) {
    PeftModules alone = modules(subset);
    try (NoGradGuard guard = new NoGradGuard()) {
      alone
          .groups()
          .forEach(
              (kind, group) ->
                  group
                      .names()
                      .forEach(
                          name -> group.get(name).copy_(supernet.groups().get(kind).get(name))));
    }
    return alone;
  }

  private static float[] outputs(Predictions predictions) {
    int classes = predictions.schema().outputs();
    float[] outputs = new float[predictions.size() * classes];
    for (int i = 0; i < predictions.size(); i++) {
      double[] own = predictions.probabilities(i);
      for (int k = 0; k < classes; k++) {
        outputs[i * classes + k] = (float) own[k];
      }
    }
    return outputs;
  }

  @Test
  void subsetsPredictAsSupernetsOfTheirOwn() {
    List<List<Candidate>> subsets = new ArrayList<>(List.of(List.of(), ALL));
    for (int i = 0; i < 6; i++) {
      subsets.add(subset());
    }
    List<Integer> done = new ArrayList<>();
    List<Predictions> together =
        trainer.predictor().predict(supernet, head, data, subsets, done::add);
    assertEquals(data.size(), done.get(done.size() - 1));
    for (int i = 0; i < subsets.size(); i++) {
      float[] expected = outputs(trainer.predictor().predict(alone(subsets.get(i)), head, data));
      Rounding.assertNear(
          expected,
          outputs(together.get(i)),
          TrainingTest.limit(expected),
          "subset " + subsets.get(i));
    }
  }

  @Test
  void onlyModulesOfTheSupernetCanBeSwitchedOn() {
    Candidate other = new Candidate("encoder.layer.0.other", 0, Candidate.LORA, 5);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> supernet.activate(List.of(ALL.get(0), other)));
    assertTrue(refused.getMessage().contains(other.name()), refused.getMessage());
  }

  private SupernetMeasuring measuring(int epochs) {
    SupernetMeasuring measuring =
        new SupernetMeasuring(
            trainer,
            new PeftModules(CONFIG, SmallBert.CONFIG, ALL),
            new Slices(CONFIG, SmallBert.CONFIG, 1),
            head,
            new SupernetMeasuring.MeasuringData(data, epochs, SmallTask.draw(40, 5), 8),
            done -> {});
    open.add(measuring);
    return measuring;
  }

  @Test
  void modulesBeginWithoutEffect() {
    float[][] values = measuring(1).measure(List.of(List.of(), ALL, subset())).score();
    double limit = TrainingTest.share(LENGTH) * Rounding.largest(values[0]);
    Rounding.assertNear(values[0], values[1], limit, "all modules");
    Rounding.assertNear(values[0], values[2], limit, "some modules");
  }

  @Test
  void trainedModulesAreWorthSomethingAndTheSameAgain() {
    List<List<Candidate>> subsets = List.of(List.of(), ALL, subset());
    Measurements[] measured = new Measurements[2];
    for (int i = 0; i < 2; i++) {
      SupernetMeasuring measuring = measuring(3);
      measuring.train(steps -> StepListener.NONE);
      measuring.cut();
      measured[i] = measuring.measure(subsets);
    }
    assertTrue(Arrays.deepEquals(measured[0].score(), measured[1].score()));
    assertTrue(Arrays.deepEquals(measured[0].metric(), measured[1].metric()));
    float[][] scores = measured[0].score();
    assertFalse(Arrays.equals(scores[0], scores[1]));
    for (int i = 0; i < subsets.size(); i++) {
      for (int e = 0; e < scores[i].length; e++) {
        assertTrue(scores[i][e] <= 0, "a log-likelihood, got " + scores[i][e]);
        // More than a half is the largest probability, less than a third is not.
        double probability = Math.exp(scores[i][e]);
        if (probability > 0.5 || probability < 1 / 3.0) {
          assertEquals(probability > 0.5 ? 1 : 0, measured[0].metric()[i][e]);
        }
      }
    }
  }
}
