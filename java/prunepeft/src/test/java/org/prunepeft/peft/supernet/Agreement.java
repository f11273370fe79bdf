package org.prunepeft.peft.supernet;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.Block;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.model.Precision;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * Whether the modules in a small whole model give the hidden states and the gradients that plain
 * operations of LibTorch do.
 *
 * <p>What may differ is rounding. A sum of n products in float32 is off by up to n roundings of the
 * sum of their absolute values (Higham 2002, section 3.1). So how far rounding moves a result is
 * measured: by the plain operations, with outputs of linears that are off so far, each element by
 * its own share, and with weights that are. A gradient that is small beside the terms that cancel
 * in it moves by more of itself, and has the larger limit. What attention rounds where it is nearly
 * one-hot moves its gradients more than weights that are off do; that is measured by weights that
 * are off by one rounding, between which it differs from run to run.
 */
public final class Agreement {
  /** The longest sums: over intermediate columns, or over tokens. */
  private static final int LONGEST = 40;

  private static final double SHARE = Rounding.gamma(LONGEST, Rounding.FLOAT32);
  private static final int PERTURBATIONS = 4;

  /** The name of what {@link #run} leaves beside gradients. */
  static final String HIDDEN_STATES = "hidden states";

  private static final String PREDICTED = "predicted hidden states";

  /** Where ReLU's argument is nearer to 0, rounding chooses between two gradients. */
  private static final double KINK = 1e-4;

  /** Plain operations in the modules' places. */
  public interface Plain extends Insertions {
    /** The smallest |z| that ReLU has met; infinite without one. */
    double nearestKink();
  }

  /** Makes plain operations over modules. */
  public interface PlainOf {
    Plain of(PeftModules modules);
  }

  /** The plain operations, whose results are off as float32's may be. */
  private record Rounded(Plain plain) implements Insertions {
    private static Tensor share(Tensor like) {
      return torch
          .empty(like.sizes().vec().get())
          .uniform_(-SHARE, SHARE, RandomTensors.generator());
    }

    /** Off by a share of the value, and so is what flows back. */
    private static Tensor off(Tensor value) {
      return value.mul(share(value).add(new Scalar(1)));
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      Tensor terms =
          torch.linear(
              x.detach().abs(), linear.weight().abs(), new TensorOptional(linear.bias().abs()));
      return off(plain.afterLinear(linear, x, y)).add(share(terms).mul(terms));
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
      return off(plain.afterBlock(block, layer, h, input, norm));
    }
  }

  private final PeftModules modules;
  private final PlainOf plain;
  private final EncoderInput input;
  private final Tensor weights;

  private Agreement(PeftModules modules, PlainOf plain, EncoderInput input) {
    this.modules = modules;
    this.plain = plain;
    this.input = input;
    int tokens = input.rows() * input.length();
    weights =
        RandomTensors.normal(tokens, SmallBert.CONFIG.hidden()).mul(input.mask().view(tokens, 1));
  }

  /** Draws weights of this deviation until no ReLU is at its kink, and compares. */
  public static void check(
      PeftModules modules, PlainOf plain, EncoderInput input, double deviation) {
    long seed = TestSeed.draw();
    try (PointerScope scope = new PointerScope();
        Encoder encoder = SmallBert.create(seed, Precision.FLOAT32);
        Tape tape = new Tape()) {
      Agreement agreement = new Agreement(modules, plain, input);
      modules.begin(ForwardPass.evaluation(tape));
      Map<String, float[]> expected;
      Plain operations;
      do {
        try (NoGradGuard guard = new NoGradGuard()) {
          for (FlatParameters group : modules.groups().values()) {
            group.values().normal_(0, deviation, RandomTensors.generator());
          }
        }
        operations = plain.of(modules);
        expected = agreement.run(encoder, operations);
      } while (operations.nearestKink() < KINK);
      Map<String, float[]> actual = agreement.run(encoder, modules);
      Map<String, Double> limits = agreement.limits(seed, expected);
      modules.begin(ForwardPass.prediction(tape));
      try (NoGradGuard guard = new NoGradGuard()) {
        Tensor hidden = encoder.forward(input, modules).mul(agreement.weights);
        actual.put(PREDICTED, Torch.toFloats(hidden));
      }
      expected.put(PREDICTED, expected.get(HIDDEN_STATES));
      limits.put(PREDICTED, limits.get(HIDDEN_STATES));
      for (String name : expected.keySet()) {
        double error = Rounding.distance(expected.get(name), actual.get(name));
        Rounding.assertAtMost(limits.get(name), error, name);
      }
    }
  }

  private Map<String, float[]> run(Encoder encoder, Insertions insertions) {
    return run(encoder, modules, insertions, input, weights);
  }

  /** The hidden states, weighted, and the gradient of their sum in each parameter. */
  static Map<String, float[]> run(
      Encoder encoder,
      PeftModules modules,
      Insertions insertions,
      EncoderInput input,
      Tensor weights) {
    Map<String, float[]> results = new HashMap<>();
    Tensor weighted = encoder.forward(input, insertions).mul(weights);
    weighted.sum().backward();
    results.put(HIDDEN_STATES, Torch.toFloats(weighted.detach()));
    for (FlatParameters group : modules.groups().values()) {
      group.names().forEach(name -> results.put(name, Torch.toFloats(group.gradient(name))));
      group.clearGradients();
    }
    return results;
  }

  /** How far the results of two computations that round may differ, by their norms. */
  private Map<String, Double> limits(long seed, Map<String, float[]> expected) {
    Map<String, Double> limits =
        moved(seed, expected, SHARE, off -> run(off, new Rounded(plain.of(modules))));
    // As large a difference as in a few runs is no rare one.
    moved(seed, expected, Rounding.FLOAT32, off -> run(off, plain.of(modules)))
        .forEach((name, noise) -> limits.merge(name, noise, (moved, n) -> 2 * moved + 4 * n));
    return limits;
  }

  /** How far each result moves, by its norm, where weights are off by up to a share. */
  private Map<String, Double> moved(
      long seed,
      Map<String, float[]> expected,
      double share,
      Function<Encoder, Map<String, float[]>> results) {
    Map<String, Double> moved = new HashMap<>();
    Random random = TestSeed.random();
    for (int i = 0; i < PERTURBATIONS; i++) {
      try (Encoder off = SmallBert.perturbed(seed, share, random)) {
        withWeightsOff(modules, share, () -> results.apply(off))
            .forEach(
                (name, result) ->
                    moved.merge(name, Rounding.distance(expected.get(name), result), Math::max));
      }
    }
    return moved;
  }

  /** What is made while each weight of modules is off by up to a share of itself. */
  public static <T> T withWeightsOff(PeftModules modules, double share, Supplier<T> made) {
    Map<FlatParameters, Tensor> kept = new HashMap<>();
    try {
      try (NoGradGuard guard = new NoGradGuard()) {
        for (FlatParameters group : modules.groups().values()) {
          Tensor values = group.values();
          kept.put(group, values.clone());
          values.mul_(
              torch
                  .empty(values.numel())
                  .uniform_(1 - share, 1 + share, RandomTensors.generator()));
        }
      }
      return made.get();
    } finally {
      try (NoGradGuard guard = new NoGradGuard()) {
        kept.forEach((group, values) -> group.values().copy_(values));
      }
    }
  }

  static double norm(double[] a) {
    return Rounding.distance(a, new float[a.length]);
  }
}
