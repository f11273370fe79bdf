package org.prunepeft.peft.supernet;

import java.util.Arrays;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Precision;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Supernets in a small whole model, on two texts; tensors that a test makes are its scope's. */
final class SmallSupernet implements AutoCloseable {
  /** Of both texts together. */
  static final int TOKENS = 20;

  final Tape tape = new Tape();
  private final PointerScope scope;
  private final long seed;
  private final Encoder encoder;
  private final EncoderInput input;

  SmallSupernet() {
    Torch.load();
    scope = new PointerScope();
    seed = TestSeed.draw();
    encoder = SmallBert.create(seed, Precision.FLOAT32);
    long[] ids = TestSeed.random().longs(TOKENS, 0, SmallBert.CONFIG.vocabulary()).toArray();
    byte[] mask = new byte[TOKENS];
    Arrays.fill(mask, (byte) 1);
    input = EncoderInput.of(ids, new long[TOKENS], mask, 2, TOKENS / 2);
  }

  /** All modules of a configuration, with random weights. */
  PeftModules modules(PeftConfig config) {
    PeftModules modules =
        new PeftModules(config, SmallBert.CONFIG, config.space(SmallBert.CONFIG).candidates());
    try (NoGradGuard guard = new NoGradGuard()) {
      for (FlatParameters group : modules.groups().values()) {
        group.names().forEach(name -> group.get(name).normal_(0, 0.2, RandomTensors.generator()));
      }
    }
    modules.begin(ForwardPass.evaluation(tape));
    return modules;
  }

  /** The hidden states. */
  Tensor forward(PeftModules modules) {
    return encoder.forward(input, modules);
  }

  /** The hidden states, without a graph. */
  float[] outputs(PeftModules modules) {
    try (NoGradGuard guard = new NoGradGuard()) {
      return Torch.toFloats(forward(modules));
    }
  }

  /**
   * How far rounding may move the outputs at most: it is measured, with weights of the encoder and
   * of the modules that are off as far as a sum may be.
   */
  double moved(PeftModules modules) {
    double share = RandomCheckpoint.share(SmallBert.CONFIG, TOKENS);
    Random random = TestSeed.random();
    return Rounding.moved(
        outputs(modules),
        () -> {
          try (Encoder off = SmallBert.perturbed(seed, share, random);
              NoGradGuard guard = new NoGradGuard()) {
            return Agreement.withWeightsOff(
                modules, share, () -> Torch.toFloats(off.forward(input, modules)));
          }
        });
  }

  /** Checks outputs of two computations, each of which rounds. */
  void assertNear(float[] expected, PeftModules actual) {
    Rounding.assertNear(expected, outputs(actual), 2 * moved(actual), "hidden states");
  }

  @Override
  public void close() {
    tape.close();
    encoder.close();
    scope.close();
  }
}
