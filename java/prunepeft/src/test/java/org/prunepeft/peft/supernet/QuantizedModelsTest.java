package org.prunepeft.peft.supernet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Pretrained;
import org.prunepeft.model.Projection;
import org.prunepeft.model.Quantization;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfig.Style;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Models with quantised weights compute what those with dense weights of the same values do. */
class QuantizedModelsTest {
  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static final List<Quantization> FORMS = List.of(Quantization.INT8, Quantization.NF4);

  static Stream<Arguments> families() {
    return DecoderFamilies.all()
        .flatMap(family -> FORMS.stream().map(form -> Arguments.of(family, form)));
  }

  /** The values that a checkpoint has once it is quantised, as floats. */
  private static Checkpoint values(
      EncoderConfig config, Map<String, SafeTensors.Tensor> tensors, Quantization form)
      throws IOException {
    Map<String, SafeTensors.Tensor> values = new TreeMap<>();
    try (Checkpoint quantized =
        new Pretrained(config, new byte[0], new MapCheckpoint("memory", tensors))
            .quantized(form)
            .weights()) {
      for (String name : quantized.names()) {
        values.put(name, new SafeTensors.Tensor(quantized.shape(name), quantized.floats(name)));
      }
    }
    return new MapCheckpoint("memory", values);
  }

  private static PeftModules modules(EncoderConfig config, boolean dora) {
    List<String> targets = config.projections().stream().map(Projection::target).toList();
    PeftConfig peft =
        PeftConfig.of(
            LoraConfig.of(3, 5, 0, targets).with().dora(dora).build(),
            AdapterConfig.of(4, Activation.GELU, Style.PFEIFFER));
    PeftModules modules = new PeftModules(peft, config, peft.space(config).candidates());
    try (NoGradGuard guard = new NoGradGuard()) {
      for (FlatParameters group : modules.groups().values()) {
        group.values().normal_(0, 0.1, RandomTensors.generator());
      }
    }
    return modules;
  }

  /** Hidden states, and the gradients of a weighted sum of them. */
  private static Map<String, float[]> run(
      Encoder encoder, PeftModules modules, EncoderInput input, Tensor weights) {
    Map<String, float[]> results = new HashMap<>();
    try (Tape tape = new Tape()) {
      modules.begin(ForwardPass.evaluation(tape));
      Tensor hidden = encoder.forward(input, modules).to(torch.ScalarType.Float);
      hidden.mul(weights).sum().backward();
      results.put("hidden states", Torch.toFloats(hidden));
      for (FlatParameters group : modules.groups().values()) {
        group.names().forEach(name -> results.put(name, Torch.toFloats(group.gradient(name))));
        group.clearGradients();
      }
    }
    return results;
  }

  private static float[] alone(Encoder encoder, EncoderInput input) {
    try (NoGradGuard guard = new NoGradGuard()) {
      return Torch.toFloats(encoder.forward(input, Insertions.NONE));
    }
  }

  /**
   * The CPU's kernels give the same bits. A device's sum in another order where they decode; other
   * weights would give differences as large as the values.
   */
  private static void checkSame(
      String name, float[] expected, float[] actual, Precision precision) {
    if (!ComputeDevice.CPU.kernels().isCuda()) {
      assertArrayEquals(expected, actual, name);
      return;
    }
    double most = precision == Precision.FLOAT32 ? 1e-3 : 0.25;
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    String seen = "%s: off by %g, norm %g".formatted(name, Math.sqrt(difference), Math.sqrt(norm));
    assertTrue(difference <= most * most * norm, seen);
  }

  private static void checkSame(Encoder quantized, Encoder dense, boolean dora) {
    EncoderConfig config = dense.config();
    Random random = TestSeed.random();
    try (PeftModules modules = modules(config, dora);
        PointerScope scope = new PointerScope()) {
      long[] ids = random.longs(27, 0, Math.min(config.vocabulary(), 50)).toArray();
      byte[] mask = new byte[27];
      Arrays.fill(mask, (byte) 1);
      EncoderInput input = EncoderInput.of(ids, new long[27], mask, 3, 9);
      Tensor weights = RandomTensors.normal(27, config.hidden());
      Map<String, float[]> expected = run(dense, modules, input, weights);
      Map<String, float[]> actual = run(quantized, modules, input, weights);
      assertEquals(expected.keySet(), actual.keySet());
      expected.forEach(
          (name, values) -> checkSame(name, values, actual.get(name), dense.precision()));
      if (dense.precision() == Precision.FLOAT32) {
        float[] expectedAlone = alone(dense, input);
        double share =
            2 * Rounding.likely(RandomCheckpoint.roundings(config, 27), Rounding.FLOAT32);
        Rounding.assertNear(
            expectedAlone,
            alone(quantized, input),
            share * Rounding.largest(expectedAlone),
            "hidden states without modules");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("families")
  void decodersAreThoseOfTheirValues(Family family, Quantization form) throws IOException {
    Random random = TestSeed.random();
    Precision precision = random.nextBoolean() ? Precision.FLOAT32 : Precision.BF16;
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    EncoderConfig config = family.config();
    try (CausalDecoder quantized =
            new CausalDecoder(
                config, new MapCheckpoint("memory", tensors), precision, form, ComputeDevice.CPU);
        CausalDecoder dense =
            new CausalDecoder(
                config, values(config, tensors, form), precision, ComputeDevice.CPU)) {
      checkSame(quantized, dense, random.nextBoolean());
    }
  }

  @Test
  void encodersAreThoseOfTheirValues() throws IOException {
    EncoderConfig config = SmallBert.CONFIG;
    for (Quantization form : FORMS) {
      Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, TestSeed.random());
      try (Encoder quantized =
              new PostNormEncoder(
                  config,
                  new MapCheckpoint("memory", tensors),
                  Precision.FLOAT32,
                  form,
                  ComputeDevice.CPU);
          Encoder dense = new PostNormEncoder(config, values(config, tensors, form))) {
        checkSame(quantized, dense, true);
      }
    }
  }

  @Test
  void quantisedWeightsAreNotTrainedThemselves() throws IOException {
    EncoderConfig config = SmallBert.CONFIG;
    try (Encoder quantized =
        new PostNormEncoder(
            config,
            new MapCheckpoint("memory", RandomCheckpoint.tensors(config, TestSeed.random())),
            Precision.FLOAT32,
            Quantization.INT8,
            ComputeDevice.CPU)) {
      String message =
          assertThrows(UnsupportedOperationException.class, quantized::trainable).getMessage();
      assertTrue(message.contains("--quantize none"), message);
    }
  }
}
