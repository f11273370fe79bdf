package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Schema;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.torch.ResidentSize;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.optimizer.Optimizer;
import org.prunepeft.train.optimizer.ParameterGroup;

@FixedSeed("memory does not depend on the numbers")
class TrainingMemoryTest {
  private static final int STEPS = 4000;

  /**
   * A step makes some hundred tensors of kilobytes: one that is kept a step exceeds it, what the
   * virtual machine compiles does not.
   */
  private static final long BOUND = 16L << 20;

  private static Optimizer optimizer(PeftModules modules, Head head) {
    List<ParameterGroup> groups = new ArrayList<>();
    modules.groups().forEach((type, group) -> groups.add(new ParameterGroup(type, group, 1e-3)));
    groups.add(new ParameterGroup("head", head.parameters(), 1e-2));
    return new Optimizer(TrainingSettings.builder().maxGradNorm(1).build(), groups);
  }

  @Test
  void thousandsOfTrainingStepsKeepTheResidentSizeFlat() {
    Torch.load();
    PeftConfig config =
        PeftConfig.of(
            LoraConfig.of(4, 4, 0.1, List.of("query", "value")),
            AdapterConfig.of(8, Activation.RELU));
    try (Encoder encoder = SmallBert.create();
        PeftModules modules =
            new PeftModules(config, SmallBert.CONFIG, config.space(SmallBert.CONFIG).candidates());
        Head head =
            new Head(Schema.classification(List.of("a", "b", "c")), SmallBert.CONFIG.hidden());
        Optimizer optimizer = optimizer(modules, head);
        Tape tape = new Tape()) {
      modules.initialise(1, "test");
      Random random = new Random(1);
      ResidentSize size = new ResidentSize(STEPS);
      for (int step = 0; step < STEPS; step++) {
        int rows = 1 + random.nextInt(6);
        int length = 2 + random.nextInt(12);
        try (PointerScope scope = new PointerScope()) {
          byte[] mask = new byte[rows * length];
          java.util.Arrays.fill(mask, (byte) 1);
          mask[mask.length - 1] = 0;
          EncoderInput input =
              EncoderInput.of(
                  random.longs(rows * length, 0, 50).toArray(),
                  new long[rows * length],
                  mask,
                  rows,
                  length);
          modules.begin(new ForwardPass(tape, new ForwardPass.Masks(1, step, 0, null), null));
          head.loss(
                  head.logits(Pooling.MEAN.of(encoder.forward(input, modules), input)),
                  head.targets(random.ints(rows, 0, 3).asDoubleStream().toArray()))
              .backward();
        }
        tape.clear();
        optimizer.step(1);
        size.after(step);
      }
      assertTrue(size.growth() < BOUND, () -> "resident size grew by " + size.growth() + " bytes");
    }
  }
}
