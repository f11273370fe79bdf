package org.prunepeft.peft.supernet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.peer.GateTraining;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Torch;

/** Gates on the modules of a small whole model. */
class ModuleGatesTest {
  private static final LoraConfig LORA = LoraConfig.of(3, 6, 0, List.of("query", "value"));
  private static final PeftConfig CONFIG =
      PeftConfig.of(LORA, AdapterConfig.of(4, Activation.RELU));

  /** Of the first step of Adam, and of the gates' sigmoid. */
  private static final double ADAM_EPSILON = 1e-8;

  private static final double TEMPERATURE = 2.0 / 3;

  private final SmallSupernet small = new SmallSupernet();
  private final Tensor weights =
      RandomTensors.normal(SmallSupernet.TOKENS, SmallBert.CONFIG.hidden());

  @AfterEach
  void close() {
    small.close();
  }

  private static GateTraining training(PeftConfig config) {
    SearchSpace space = config.space(SmallBert.CONFIG);
    return new GateTraining(space, space.totalParameters() / 2, 0.1, TestSeed.draw());
  }

  /** The hidden states, and the gradients of a random linear function of them. */
  private float[] pass(PeftModules modules) {
    Tensor hidden = small.forward(modules);
    hidden.mul(weights).sum().backward();
    return Torch.toFloats(hidden.detach());
  }

  /** The tensors that a module's output is linear in. */
  private static List<String> outputs(PeftModules modules, Candidate module) {
    return modules.parameterNames(module).stream()
        .filter(name -> name.contains("lora_B") || name.contains("adapter_up"))
        .toList();
  }

  @Test
  void aGateActsAsAFactorOfTheModulesOutputAndHasItsGradient() {
    GateTraining training = training(CONFIG);
    float[] values = training.values();
    try (PeftModules gated = small.modules(CONFIG);
        PeftModules plain = small.modules(CONFIG)) {
      plain.copyWeights(gated);
      for (int i = 0; i < values.length; i++) {
        Candidate module = training.modules().get(i);
        try (NoGradGuard guard = new NoGradGuard()) {
          for (String name : outputs(plain, module)) {
            plain.groups().get(module.type()).get(name).mul_(new Scalar(values[i]));
          }
        }
      }
      gated.gate(training);
      double moved = small.moved(plain);
      Rounding.assertNear(pass(plain), pass(gated), 2 * moved, "hidden states");
      int roundings = RandomCheckpoint.roundings(SmallBert.CONFIG, SmallSupernet.TOKENS);
      double share = 2 * Rounding.likely(roundings, Rounding.FLOAT32);
      float[] gradients = Torch.toFloats(gated.gradients().get(2));
      for (int i = 0; i < values.length; i++) {
        Candidate module = training.modules().get(i);
        double expected = 0;
        double size = 0;
        for (String name : outputs(plain, module)) {
          float[] own = Torch.toFloats(gated.groups().get(module.type()).get(name).detach());
          float[] of = Torch.toFloats(plain.groups().get(module.type()).gradient(name));
          for (int j = 0; j < own.length; j++) {
            expected += (double) own[j] * of[j];
            size += Math.abs((double) own[j] * of[j]);
          }
        }
        Rounding.assertNear(expected, gradients[i], share * size, module.name());
      }
    }
  }

  /** DoRA acts by gains as well. */
  @Test
  void closedGatesLeaveTheEncoderAndOpenOnesTheModules() {
    PeftConfig dora = PeftConfig.of(LORA.withDora(true), AdapterConfig.of(4, Activation.RELU));
    try (PeftModules none = new PeftModules(dora, SmallBert.CONFIG, List.of());
        PeftModules closed = small.modules(dora);
        PeftModules open = small.modules(dora)) {
      none.begin(ForwardPass.evaluation(small.tape));
      open.copyWeights(closed);
      float[] free = small.outputs(open);
      open.gate(forced(dora, 500));
      small.assertNear(free, open);
      closed.gate(forced(dora, -500));
      small.assertNear(small.outputs(none), closed);
    }
  }

  private static GateTraining forced(PeftConfig config, double logit) {
    GateTraining training = training(config);
    double[] state = training.state();
    Arrays.fill(state, 0, training.modules().size(), logit);
    training.restore(state);
    return training;
  }

  /** How far Adam's first step goes at a learning rate of 0.1. */
  private static double step(double gradient) {
    return 0.1 * Math.abs(gradient) / (Math.abs(gradient) + ADAM_EPSILON);
  }

  @Test
  void theHookMovesEachGateAgainstItsGradient() {
    GateTraining training = training(CONFIG);
    double[] before = training.state();
    float[] values = training.values();
    int count = training.modules().size();
    try (PeftModules modules = small.modules(CONFIG)) {
      modules.gate(training);
      pass(modules);
      float[] gradients = Torch.toFloats(modules.gradients().get(2));
      List<TrainingHook> hooks = modules.trainingHooks(10, true);
      assertEquals(1, hooks.size());
      assertEquals(Optional.empty(), hooks.get(0).nonFinite());
      hooks.get(0).beforeStep(1);
      hooks.get(0).afterStep(1);
      // The first step of Adam goes as far for each, all but an epsilon beside its gradient, and
      // then all are shifted alike.
      double[] after = training.state();
      double[] ofLogits = new double[count];
      for (int i = 0; i < count; i++) {
        ofLogits[i] = gradients[i] * values[i] * (1.0 - values[i]) / TEMPERATURE;
      }
      // Logits are subtracted, stepped and shifted in float64.
      double ofLargest =
          Rounding.gamma(12, Rounding.FLOAT64)
              * Arrays.stream(after, 0, count).map(Math::abs).max().orElse(0);
      for (int up = 0; up < count; up++) {
        for (int down = 0; down < count; down++) {
          if (gradients[up] < 0 && gradients[down] >= 0) {
            double expected = step(ofLogits[up]) + step(ofLogits[down]);
            double apart = after[up] - before[up] - after[down] + before[down];
            Rounding.assertNear(expected, apart, ofLargest, "two logits");
          }
        }
      }
      Tensor gates = modules.gradients().get(2);
      assertArrayEquals(new float[gradients.length], Torch.toFloats(gates));
      // What a step has read is not taken for the next one's.
      gates.fill_(new Scalar(Double.NaN));
      assertTrue(hooks.get(0).nonFinite().isPresent());
      hooks.get(0).skipped();
      assertEquals(Optional.empty(), hooks.get(0).nonFinite());
    }
  }
}
