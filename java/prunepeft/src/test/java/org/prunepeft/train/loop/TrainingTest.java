package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleConsumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.Rounding;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.TrainingRun;

/** What tests of trainings share. */
abstract class TrainingTest {
  /** There a step takes a hundred times as long, and a few tell what many do. */
  static final boolean EMULATED = Boolean.getBoolean("prunepeft.emulated-device");

  private final List<AutoCloseable> open = new ArrayList<>();

  @BeforeAll
  static void loadTorch() {
    Torch.load();
  }

  /** Closes it after the test, what came last first. */
  final <T extends AutoCloseable> T keep(T resource) {
    open.add(resource);
    return resource;
  }

  @AfterEach
  void closeKept() throws Exception {
    for (int i = open.size() - 1; i >= 0; i--) {
      open.get(i).close();
    }
  }

  /** LoRA on query and value, and a serial adapter in each layer. */
  static PeftConfig loraAndAdapters(int rank, double dropout) {
    return loraAndAdapters(rank, dropout, Activation.RELU);
  }

  static PeftConfig loraAndAdapters(int rank, double dropout, Activation nonLinearity) {
    return PeftConfig.of(
        LoraConfig.of(rank, 5, dropout, List.of("query", "value")),
        AdapterConfig.of(7, nonLinearity));
  }

  static List<Candidate> candidates(PeftConfig config) {
    return config.space(SmallBert.CONFIG).candidates();
  }

  final PeftModules modules(PeftConfig config, List<Candidate> candidates) {
    return keep(new PeftModules(config, SmallBert.CONFIG, candidates));
  }

  final Head head(ComputeDevice device) {
    return keep(new Head(SmallTask.SCHEMA, SmallBert.CONFIG.hidden(), device));
  }

  final Head head() {
    return head(ComputeDevice.CPU);
  }

  /** Those of the modules by type, and the head's. */
  static Map<String, FlatParameters> parameters(TrainingRun run) {
    Map<String, FlatParameters> parameters = new LinkedHashMap<>(run.modules().groups());
    parameters.put("head", run.head().parameters());
    return parameters;
  }

  static Map<String, float[]> weights(TrainingRun run) {
    Map<String, float[]> weights = new LinkedHashMap<>();
    parameters(run)
        .forEach((name, group) -> weights.put(name, Torch.toFloats(group.values().detach())));
    return weights;
  }

  /** Gives every weight a value, so that no gradient is 0. */
  static void fill(Iterable<FlatParameters> groups, Random random) {
    for (FlatParameters group : groups) {
      for (String name : group.names()) {
        float[] values = new float[(int) group.get(name).numel()];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) (0.2 * random.nextGaussian());
        }
        group.put(name, values);
      }
    }
  }

  static void assertSame(Map<String, float[]> expected, Map<String, float[]> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, values) -> assertArrayEquals(values, actual.get(name), name));
  }

  /**
   * What two computations of a gradient may differ by, of the largest element, or of a loss, for so
   * many tokens: either passes the roundings of all layers.
   */
  static double share(long tokens) {
    int roundings = RandomCheckpoint.roundings(SmallBert.CONFIG, Math.toIntExact(tokens));
    return 2 * Rounding.likely(roundings, Rounding.FLOAT32);
  }

  /** The same of hidden states, which pass the layers forward alone. */
  static double shareOfStates() {
    int roundings = RandomCheckpoint.roundings(SmallBert.CONFIG);
    return 2 * Rounding.likely(roundings, Rounding.FLOAT32);
  }

  /**
   * What two predictions' probabilities p may differ by: 2 p (1 - p) of what their logits do, whose
   * differences are within those of the probabilities' logarithms, and what they are rounded by.
   */
  static double limit(float[] probabilities) {
    double least = 1;
    double steepest = 0;
    for (float probability : probabilities) {
      least = Math.min(least, Math.max(probability, Float.MIN_VALUE));
      steepest = Math.max(steepest, 2 * probability * (1 - probability));
    }
    return share(SmallBert.CONFIG.positions()) * (1 - Math.log(least)) * steepest
        + 2 * Rounding.FLOAT32;
  }

  /** The same of a loss after so many steps, each of which rounds anew. */
  static double share(long tokens, int steps) {
    return Math.sqrt(steps) * share(tokens);
  }

  /** Checks each group of gradients, of which none is 0. */
  static void assertNear(Map<String, float[]> expected, Map<String, float[]> actual, long tokens) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach(
        (name, values) -> {
          double largest = Rounding.largest(values);
          assertTrue(largest > 0, name);
          Rounding.assertNear(values, actual.get(name), share(tokens) * largest, name);
        });
  }

  static void assertLossNear(double expected, double actual, long tokens) {
    Rounding.assertNear(expected, actual, share(tokens) * Math.abs(expected), "loss");
  }

  static StepListener eachLoss(DoubleConsumer losses) {
    return new StepListener() {
      @Override
      public void step(int step, int of, double loss, double rate) {
        losses.accept(loss);
      }
    };
  }
}
