package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Gradients of an encoder's own weights against finite differences in float64. */
class TrainableEncoderTest {
  private static final double STEP = 1e-4;
  private static final int SAMPLES = 3;

  /** By which it is measured how far rounding may move a gradient. */
  private static final int PERTURBATIONS = 4;

  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void gradientsAreThoseOfFiniteDifferences(EncoderConfig config) throws IOException {
    Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, random);
    int length = 5 + random.nextInt(4);
    int padded = length + 3;
    int[] ids = random.ints(length, 2, config.vocabulary()).toArray();
    int[] types = random.ints(length, 0, Math.max(1, config.types())).toArray();
    // The loss is a random sum of the real tokens' outputs.
    float[] factors = new float[padded * config.hidden()];
    for (int i = 0; i < length * config.hidden(); i++) {
      factors[i] = (float) random.nextGaussian();
    }
    ReferenceEncoder reference = new ReferenceEncoder(ReferenceConfig.of(config), tensors);
    try (Encoder encoder = new PostNormEncoder(config, new MapCheckpoint("random", tensors));
        FlatParameters own = encoder.trainable();
        PeftModules modules = none(config);
        Tape tape = new Tape();
        PointerScope scope = new PointerScope()) {
      modules.begin(ForwardPass.evaluation(tape));
      EncoderInput input = input(ids, types, padded);
      addGradients(encoder, input, modules, factors);
      Map<String, Double> moved = new HashMap<>();
      for (int i = 0; i < PERTURBATIONS; i++) {
        double share = RandomCheckpoint.share(config, padded);
        var others = RandomCheckpoint.perturbed(tensors, share, random);
        try (Encoder off = new PostNormEncoder(config, new MapCheckpoint("off", others));
            FlatParameters gradients = off.trainable()) {
          addGradients(off, input, modules, factors);
          for (String name : own.names()) {
            double most =
                Rounding.largestDifference(
                    Torch.toFloats(own.gradient(name)), Torch.toFloats(gradients.gradient(name)));
            moved.merge(name, most, Math::max);
          }
        }
      }

      assertEquals(tensors.keySet(), names(own));
      // A gradient that follows from no weight is a sum of what the outputs are weighted with.
      double ofSum = 2 * RandomCheckpoint.share(config, padded);
      int tensorsCompared = 0;
      for (String name : own.names()) {
        float[] values = tensors.get(name).values();
        float[] gradient = Torch.toFloats(own.gradient(name));
        int compared = 0;
        for (int tries = 0; compared < SAMPLES && tries < 5 * SAMPLES; tries++) {
          int i = random.nextInt(values.length);
          DoubleUnaryOperator difference =
              step -> {
                float value = values[i];
                values[i] = (float) (value + step);
                double above = values[i];
                double more = loss(reference.forward(ids, types), factors);
                values[i] = (float) (value - step);
                double slope =
                    (more - loss(reference.forward(ids, types), factors)) / (above - values[i]);
                values[i] = value;
                return slope;
              };
          // An eighth of the step has a 64th of the error.
          double expected = difference.applyAsDouble(STEP / 8);
          double ofStep = Math.abs(difference.applyAsDouble(STEP) - expected);
          double limit = 2 * moved.get(name) + ofSum * Rounding.largest(gradient);
          // A kink of ReLU within the step: the slope is not one number there, and where a unit is
          // all but at its kink, in no element that it depends on.
          if (config.activation() == HiddenActivation.RELU && ofStep > limit / 8) {
            continue;
          }
          Rounding.assertNear(
              expected, gradient[i], limit + ofStep, "%s, element %d".formatted(name, i));
          compared++;
        }
        tensorsCompared += compared == SAMPLES ? 1 : 0;
      }
      // What lies behind the last ReLU has no kink: two weights and two biases.
      assertTrue(
          tensorsCompared >= (config.activation() == HiddenActivation.RELU ? 4 : tensors.size()));
    }
  }

  private static void addGradients(
      Encoder encoder, EncoderInput input, PeftModules modules, float[] factors) {
    Tensor hidden = encoder.forward(input, modules);
    hidden
        .mul(Torch.floats(factors, (long) input.rows() * input.length(), encoder.config().hidden()))
        .sum()
        .backward();
  }

  private static PeftModules none(EncoderConfig config) {
    return new PeftModules(PeftConfig.of(null, AdapterConfig.DEFAULT), config, java.util.List.of());
  }

  private static EncoderInput input(int[] ids, int[] types, int padded) {
    long[] paddedIds = new long[padded];
    long[] paddedTypes = new long[padded];
    byte[] mask = new byte[padded];
    for (int i = 0; i < ids.length; i++) {
      paddedIds[i] = ids[i];
      paddedTypes[i] = types[i];
      mask[i] = 1;
    }
    return EncoderInput.of(paddedIds, paddedTypes, mask, 1, padded);
  }

  private static double loss(double[][] hidden, float[] factors) {
    double loss = 0;
    for (int i = 0; i < hidden.length; i++) {
      for (int k = 0; k < hidden[i].length; k++) {
        loss += factors[i * hidden[i].length + k] * hidden[i][k];
      }
    }
    return loss;
  }

  private static Set<String> names(FlatParameters parameters) {
    Set<String> names = new TreeSet<>();
    parameters.names().forEach(names::add);
    return names;
  }

  @Test
  void changedWeightsAreComputedWithUntilTheyAreGivenBack() {
    long seed = random.nextLong();
    double share = RandomCheckpoint.share(SmallBert.CONFIG, 7);
    try (Encoder encoder = SmallBert.create(seed, Precision.FLOAT32);
        PeftModules modules = none(SmallBert.CONFIG);
        Tape tape = new Tape();
        PointerScope scope = new PointerScope()) {
      modules.begin(ForwardPass.evaluation(tape));
      int[] ids = random.ints(7, 0, SmallBert.CONFIG.vocabulary()).toArray();
      EncoderInput input = input(ids, new int[7], 7);
      float[] before = Torch.toFloats(encoder.forward(input, modules));
      double moved =
          Rounding.moved(
              before,
              () -> {
                try (Encoder off = SmallBert.perturbed(seed, share, random)) {
                  return Torch.toFloats(off.forward(input, modules));
                }
              });
      try (FlatParameters own = encoder.trainable()) {
        float[] asBefore = Torch.toFloats(encoder.forward(input, modules));
        Rounding.assertNear(before, asBefore, 2 * moved, "hidden states");
        own.values().detach().mul_(new Scalar(1.5));
        float[] changed = Torch.toFloats(encoder.forward(input, modules));
        double difference =
            IntStream.range(0, before.length)
                .mapToDouble(i -> Math.abs(changed[i] - before[i]))
                .max()
                .orElseThrow();
        assertTrue(difference > 1e-3, "at most " + difference + " apart");
      }
      assertArrayEquals(before, Torch.toFloats(encoder.forward(input, modules)));
    }
  }

  @Test
  void anEncoderInBfloat16IsRefused() {
    try (Encoder encoder = SmallBert.create(random.nextLong(), Precision.BF16)) {
      var e = assertThrows(UnsupportedOperationException.class, encoder::trainable);
      assertTrue(e.getMessage().contains("load it in float32"), e.getMessage());
    }
  }
}
