package org.prunepeft.peft.type;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.NotFiniteException;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.loop.SmallTask;
import org.prunepeft.train.loop.StepListener;
import org.prunepeft.train.loop.Trainer;
import org.prunepeft.train.pass.TrainingRun;

class RankAllocatorTest {
  /** In place of a name: no element is moved, and the terms of sums are without their signs. */
  private static final String MAGNITUDES = "magnitudes";

  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static PeftModules modules(AdaLoraConfig config) {
    PeftConfig peft =
        PeftConfig.of(
            LoraConfig.of(8, 16, 0, List.of("query", "output.dense")).withAdaLora(config), null);
    return new PeftModules(peft, SmallBert.CONFIG, peft.space(SmallBert.CONFIG).candidates());
  }

  private static TrainingHook hook(PeftModules modules, int steps) {
    return modules.trainingHooks(steps, false).get(0);
  }

  private static List<AdaLora.Triplet> triplets(PeftModules modules) {
    List<AdaLora.Triplet> triplets = new ArrayList<>();
    for (String name : modules.groups().get("lora").names()) {
      if (name.endsWith(".lora_E")) {
        String path = name.replace(".lora_E", "");
        triplets.add(new AdaLora.Triplet(path + ".lora_A", name, path + ".lora_B"));
      }
    }
    return triplets;
  }

  @Test
  void theBudgetGoesFromInitToTargetInACubicCurve() {
    AdaLoraConfig config = new AdaLoraConfig(12, 4, 10, 20, 5, 0.85, 0.85, 0.5, 130);
    for (int step = 1; step <= 130; step++) {
      double progress = Math.min(1, Math.max(0, (step - 10) / 100.0));
      int expected = (int) (40 + 80 * Math.pow(1 - progress, 3) + 1e-9);
      assertEquals(expected, config.budget(step, 10), "step " + step);
      boolean chosen = step == 110 || step > 10 && step < 110 && step % 5 == 0;
      assertEquals(chosen, config.chooses(step), "step " + step);
    }
    assertThrows(IllegalArgumentException.class, () -> config.withTotalStep(30));
    assertThrows(
        IllegalArgumentException.class, () -> new AdaLoraConfig(4, 5, 0, 0, 1, 0.85, 0.85, 0.5, 0));
  }

  /** The paper's equations 8 to 11 and its algorithm 1, in float64. */
  private static final class Reference {
    final AdaLoraConfig config;
    final Map<String, double[]> sensitivity = new HashMap<>();
    final Map<String, double[]> uncertainty = new HashMap<>();

    Reference(AdaLoraConfig config) {
      this.config = config;
    }

    void observe(String name, float[] weights, float[] gradients) {
      double[] mean = sensitivity.computeIfAbsent(name, key -> new double[weights.length]);
      double[] spread = uncertainty.computeIfAbsent(name, key -> new double[weights.length]);
      for (int i = 0; i < weights.length; i++) {
        double now = Math.abs((double) weights[i] * gradients[i]);
        mean[i] = config.beta1() * mean[i] + (1 - config.beta1()) * now;
        spread[i] = config.beta2() * spread[i] + (1 - config.beta2()) * Math.abs(now - mean[i]);
      }
    }

    double importance(String name, int i) {
      return sensitivity.get(name)[i] * uncertainty.get(name)[i];
    }

    double score(AdaLora.Triplet triplet, int k, int rank, int inputs, int outputs) {
      double score = importance(triplet.lambda(), k);
      for (int i = 0; i < inputs; i++) {
        score += importance(triplet.q(), k * inputs + i) / inputs;
      }
      for (int i = 0; i < outputs; i++) {
        score += importance(triplet.p(), i * rank + k) / outputs;
      }
      return score;
    }
  }

  private void fill(Tensor tensor) {
    try (PointerScope scope = new PointerScope()) {
      var values = tensor.detach().data_ptr_float();
      for (long i = 0; i < tensor.numel(); i++) {
        values.put(i, (float) random.nextGaussian());
      }
    }
  }

  @Test
  void whatIsLeftHasTheHighestSmoothedImportance() {
    AdaLoraConfig config = new AdaLoraConfig(8, 3, 2, 3, 2, 0.7, 0.9, 0.5, 13);
    try (PeftModules modules = modules(config);
        TrainingHook ranks = hook(modules, 13)) {
      FlatParameters group = modules.groups().get("lora");
      Reference reference = new Reference(config);
      List<AdaLora.Triplet> triplets = triplets(modules);
      Set<String> last = new HashSet<>();
      for (int step = 1; step <= 13; step++) {
        for (String name : group.names()) {
          fill(group.get(name));
          fill(group.gradient(name));
          if (step <= 10) {
            reference.observe(
                name, Torch.toFloats(group.get(name)), Torch.toFloats(group.gradient(name)));
          }
        }
        ranks.beforeStep(step);
        ranks.afterStep(step);
        if (config.chooses(step)) {
          last = best(reference, group, triplets, config.budget(step, triplets.size()));
        }
        Set<String> left = left(group, triplets);
        boolean masked = config.chooses(step) || step >= 10;
        assertEquals(masked ? last : Set.of(), masked ? left : Set.of(), "step " + step);
        assertTrue(masked || left.size() == 8 * triplets.size(), "step " + step);
      }
      assertEquals(3 * triplets.size(), last.size());
    }
  }

  /** A step whose loss is not finite is left out, and no hook hears of its end. */
  @Test
  void aLastChoiceThatWasLeftOutIsMadeAtTheNextStep() {
    AdaLoraConfig config = new AdaLoraConfig(8, 3, 9, 3, 1, 0.7, 0.9, 0.5, 13);
    try (PeftModules modules = modules(config);
        TrainingHook ranks = hook(modules, 13)) {
      FlatParameters group = modules.groups().get("lora");
      List<AdaLora.Triplet> triplets = triplets(modules);
      for (int step = 1; step <= 13; step++) {
        fill(group.values());
        fill(group.gradients());
        ranks.beforeStep(step);
        if (step != 10) {
          ranks.afterStep(step);
        }
        assertEquals(
            (step > 10 ? 3 : 8) * triplets.size(), left(group, triplets).size(), "step " + step);
      }
    }
  }

  @Test
  void ofEqualScoresTheFirstStay() {
    AdaLoraConfig config = new AdaLoraConfig(8, 3, 0, 1, 1, 0.85, 0.85, 0.5, 5);
    try (PeftModules modules = modules(config);
        TrainingHook ranks = hook(modules, 5)) {
      FlatParameters group = modules.groups().get("lora");
      List<AdaLora.Triplet> triplets = triplets(modules);
      // Without gradients all scores are 0, but for two of the last triplet.
      group.names().forEach(name -> fill(group.get(name)));
      String last = triplets.get(triplets.size() - 1).lambda();
      group.put(last, new float[] {1, 1, 1, 1, 1, 1, 1, 1});
      try (PointerScope scope = new PointerScope()) {
        var gradient = group.gradient(last).data_ptr_float();
        gradient.put(4, 0.5f).put(6, 1);
      }
      List<String> order = new ArrayList<>(List.of(last + 6, last + 4));
      for (AdaLora.Triplet triplet : triplets) {
        for (int k = 0; k < 8; k++) {
          order.add(triplet.lambda() + k);
        }
      }
      order = order.stream().distinct().toList();
      for (int step = 1; step <= 5; step++) {
        ranks.beforeStep(step);
        ranks.afterStep(step);
        int budget = config.withTotalStep(5).budget(step, triplets.size());
        assertEquals(Set.copyOf(order.subList(0, budget)), left(group, triplets), "step " + step);
      }
    }
  }

  /** Both are finite, and what is smoothed of their product is not, then NaN. */
  @Test
  void anImportanceThatIsNotFiniteIsRefusedByItsModule() {
    AdaLoraConfig config = new AdaLoraConfig(8, 3, 0, 1, 1, 0.85, 0.85, 0.5, 5);
    try (PeftModules modules = modules(config);
        TrainingHook ranks = hook(modules, 5)) {
      FlatParameters group = modules.groups().get("lora");
      fill(group.values());
      fill(group.gradients());
      List<AdaLora.Triplet> triplets = triplets(modules);
      String lambda = triplets.get(triplets.size() - 1).lambda();
      group.put(lambda, new float[] {1, 1, 1, 1, 1, 1e25f, 1, 1});
      try (PointerScope scope = new PointerScope()) {
        group.gradient(lambda).data_ptr_float().put(5, 1e25f);
      }
      ranks.beforeStep(1);
      Exception e = assertThrows(NotFiniteException.class, () -> ranks.afterStep(1));
      assertTrue(
          e.getMessage().contains("singular value 5 of " + lambda + " is not finite"),
          e.getMessage());
    }
  }

  private static Set<String> left(FlatParameters group, List<AdaLora.Triplet> triplets) {
    Set<String> left = new HashSet<>();
    for (AdaLora.Triplet triplet : triplets) {
      float[] values = Torch.toFloats(group.get(triplet.lambda()));
      for (int k = 0; k < values.length; k++) {
        if (values[k] != 0) {
          left.add(triplet.lambda() + k);
        }
      }
    }
    return left;
  }

  private static Set<String> best(
      Reference reference, FlatParameters group, List<AdaLora.Triplet> triplets, int budget) {
    Map<String, Double> scores = new HashMap<>();
    for (AdaLora.Triplet triplet : triplets) {
      int inputs = (int) group.shape(triplet.q())[1];
      int outputs = (int) group.shape(triplet.p())[0];
      for (int k = 0; k < 8; k++) {
        scores.put(triplet.lambda() + k, reference.score(triplet, k, 8, inputs, outputs));
      }
    }
    List<String> order = new ArrayList<>(scores.keySet());
    order.sort(Comparator.comparingDouble(name -> -scores.get(name)));
    return new HashSet<>(order.subList(0, budget));
  }

  @Test
  void thePenaltyAndItsGradientAreThoseOfFiniteDifferences() {
    try (PointerScope scope = new PointerScope();
        PeftModules modules = modules(new AdaLoraConfig(8, 3, 0, 0, 1, 0.85, 0.85, 0.3, 9))) {
      FlatParameters group = modules.groups().get("lora");
      group.names().forEach(name -> fill(group.get(name)));
      Tensor penalty = hook(modules, 9).penalty();
      // Products are sums over a row or column, whose terms cancel, and their squares are summed up
      // over 64.
      double sums = Rounding.gamma(SmallBert.CONFIG.intermediate() + 64 + 8, Rounding.FLOAT32);
      double expectedPenalty = penalty(modules, null, 0, 0);
      double magnitude = penalty(modules, MAGNITUDES, 0, 0);
      Rounding.assertNear(expectedPenalty, penalty.item_double(), sums * magnitude, "penalty");
      double share = sums * magnitude / expectedPenalty;
      penalty.backward();
      for (AdaLora.Triplet triplet : triplets(modules)) {
        for (String name : List.of(triplet.q(), triplet.p())) {
          float[] gradient = Torch.toFloats(group.gradient(name));
          int i = random.nextInt(gradient.length);
          double step = 1e-4;
          // A step of half the size has a quarter of the error.
          double expected =
              (penalty(modules, name, i, step / 2) - penalty(modules, name, i, -step / 2)) / step;
          double ofStep =
              Math.abs(
                  (penalty(modules, name, i, step) - penalty(modules, name, i, -step)) / (2 * step)
                      - expected);
          double limit = share * Rounding.largest(gradient) + ofStep;
          Rounding.assertNear(expected, gradient[i], limit, name);
        }
        for (float value : Torch.toFloats(group.gradient(triplet.lambda()))) {
          assertEquals(0, value);
        }
      }
    }
  }

  /** In float64, with one value moved. */
  private static double penalty(PeftModules modules, String moved, int place, double by) {
    FlatParameters group = modules.groups().get("lora");
    double sum = 0;
    for (AdaLora.Triplet triplet : triplets(modules)) {
      for (String name : List.of(triplet.q(), triplet.p())) {
        float[] given = Torch.toFloats(group.get(name));
        double[] values = new double[given.length];
        boolean magnitudes = MAGNITUDES.equals(moved);
        for (int i = 0; i < given.length; i++) {
          values[i] = given[i] + (name.equals(moved) && i == place ? by : 0);
          values[i] = magnitudes ? Math.abs(values[i]) : values[i];
        }
        boolean rows = name.equals(triplet.q());
        int length = values.length / 8;
        double squares = 0;
        for (int r = 0; r < 8; r++) {
          for (int s = 0; s < 8; s++) {
            double product = r == s ? (magnitudes ? 1 : -1) : 0;
            for (int i = 0; i < length; i++) {
              product +=
                  rows
                      ? values[r * length + i] * values[s * length + i]
                      : values[i * 8 + r] * values[i * 8 + s];
            }
            squares += product * product;
          }
        }
        sum += Math.sqrt(squares);
      }
    }
    return 0.3 * sum / (2 * triplets(modules).size());
  }

  @Test
  void aTrainingEndsWithinTheBudget() {
    AdaLoraConfig config = new AdaLoraConfig(8, 2, 1, 4, 1, 0.85, 0.85, 0.5, 0);
    try (Encoder encoder = SmallBert.create();
        Trainer trainer = new Trainer(encoder, TrainingSettings.builder().batchSize(7).build());
        PeftModules modules = modules(config);
        Head head = new Head(SmallTask.SCHEMA, SmallBert.CONFIG.hidden())) {
      modules.initialise(random.nextLong(), "final");
      Trainer.Result result =
          trainer.train(
              new TrainingRun(modules, head, SmallTask.draw(29, 1), 4, 5, SmallTask.draw(23, 2)),
              StepListener.NONE);
      // 20 steps; the last choice is made after step 16, which is in the last epoch.
      assertEquals(4, result.bestEpoch());
      int left = left(modules.groups().get("lora"), triplets(modules)).size();
      assertEquals(2 * triplets(modules).size(), left);
    }
  }

  @Test
  void otherModulesHaveNoHook() {
    PeftConfig plain = PeftConfig.of(LoraConfig.of(2, 4, 0, List.of("query")), null);
    try (PeftModules modules =
        new PeftModules(plain, SmallBert.CONFIG, plain.space(SmallBert.CONFIG).candidates())) {
      assertEquals(List.of(), modules.trainingHooks(5, false));
    }
  }
}
