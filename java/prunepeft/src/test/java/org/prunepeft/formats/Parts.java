package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Torch;

/** Adapters with fresh random weights for the small BERT. */
final class Parts {
  private Parts() {}

  static SafeTensors.Tensor random(long... shape) {
    int count = 1;
    for (long extent : shape) {
      count *= (int) extent;
    }
    Random random = TestSeed.random();
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (0.3 * random.nextGaussian());
    }
    return new SafeTensors.Tensor(shape, values);
  }

  static Stream<Architecture> encoders() {
    return Arrays.stream(Architecture.values()).filter(one -> !one.isDecoder());
  }

  static Stream<Architecture> encodersButBert() {
    return encoders().filter(one -> one != Architecture.BERT);
  }

  /** A small one: 2 layers, hidden size 24, intermediate size 35. */
  static EncoderConfig encoder(Architecture architecture) {
    return EncoderConfig.bert(2, 24, 3, 35, 53, 34)
        .with()
        .architecture(architecture)
        .types(1)
        .layerNormEpsilon(1e-5)
        .padding(1)
        .build();
  }

  static LowRank lora(int layer, String target, int rank, double alpha) {
    long hidden = SmallBert.CONFIG.hidden();
    long inputs = target.equals("output.dense") ? SmallBert.CONFIG.intermediate() : hidden;
    return new LowRank(
        layer,
        "encoder.layer." + layer + "." + target,
        random(rank, inputs),
        random(hidden, rank),
        alpha,
        false,
        0.1,
        null,
        null);
  }

  /** On a projection of layer 1. */
  static LowRank lora(EncoderConfig encoder, Projection projection) {
    return AdapterPartLowRankBuilder.builder()
        .layer(1)
        .path(encoder.path(1, projection))
        .a(random(4, encoder.inputs(projection)))
        .b(random(encoder.outputs(projection), 4))
        .alpha(8)
        .build();
  }

  static TrainedAdapter adapter(EncoderConfig encoder, List<AdapterPart> parts) {
    List<String> labels = List.of("no", "yes");
    return new TrainedAdapter(
        "some/model", encoder, parts, labels, random(2, encoder.hidden()), random(2));
  }

  static Bottleneck bottleneck(int layer, Block place, Bottleneck.Input input, int size) {
    long hidden = SmallBert.CONFIG.hidden();
    return new Bottleneck(
        layer,
        place,
        input,
        input == Bottleneck.Input.RESIDUAL ? 4 : 1,
        Activation.RELU,
        random(size, hidden),
        random(size),
        random(hidden, size),
        random(hidden));
  }

  static TrainedAdapter adapter(List<? extends AdapterPart> parts) {
    return new TrainedAdapter(
        "some/bert",
        SmallBert.CONFIG,
        new ArrayList<>(parts),
        List.of("a", "b", "c", "d", "e"),
        random(5, SmallBert.CONFIG.hidden()),
        random(5));
  }

  /** Modules with random values, as after a training; AdaLoRA's each without some rank. */
  static void fill(PeftModules modules, Random random) {
    for (FlatParameters group : modules.groups().values()) {
      group.values().normal_(0, 0.2, RandomTensors.generator());
      for (String name : group.names()) {
        if (name.endsWith(".lora_E")) {
          group.get(name).narrow(0, random.nextInt((int) group.get(name).size(0)), 1).zero_();
        }
      }
    }
  }

  /** What modules in the small BERT hold now. */
  static List<AdapterPart> of(PeftConfig config, PeftModules modules) {
    return of(config, modules, SmallBert.CONFIG, path -> null);
  }

  /** What modules in an encoder hold now. */
  static List<AdapterPart> of(
      PeftConfig config, PeftModules modules, EncoderConfig encoder, BaseWeights base) {
    List<AdapterPart> parts = new ArrayList<>();
    for (Candidate module : modules.candidates()) {
      FlatParameters group = modules.groups().get(module.type());
      List<SafeTensors.Tensor> tensors =
          config.typeOf(module).parameters(encoder, module.layer()).stream()
              .map(
                  parameter ->
                      new SafeTensors.Tensor(
                          parameter.shape(), Torch.toFloats(group.get(parameter.name()))))
              .toList();
      parts.addAll(config.typeOf(module).parts(encoder, module.layer(), tensors, base));
    }
    return parts;
  }

  /** Whether two adapters have the same pieces, to the bit, in whatever order. */
  static void assertSame(TrainedAdapter expected, TrainedAdapter actual) {
    assertEquals(expected.encoder(), actual.encoder());
    assertEquals(expected.hasHead(), actual.hasHead());
    if (expected.hasHead()) {
      assertArrayEquals(expected.headWeight().values(), actual.headWeight().values());
      assertArrayEquals(expected.headBias().values(), actual.headBias().values());
    }
    assertEquals(
        expected.parts().stream().map(Parts::text).sorted().toList(),
        actual.parts().stream().map(Parts::text).sorted().toList());
  }

  private static String text(AdapterPart part) {
    if (part instanceof LowRank update) {
      return String.join(
          " ",
          "lora",
          update.layer() + update.path(),
          "" + (float) update.scale(),
          "" + update.dropout(),
          text(update.a()),
          text(update.b()),
          update.magnitude() == null ? "" : text(update.magnitude()));
    }
    Bottleneck own = (Bottleneck) part;
    return String.join(
        " ",
        "bottleneck",
        "" + own.layer() + own.place() + own.input() + own.scaling() + own.activation(),
        text(own.down()),
        text(own.downBias()),
        text(own.up()),
        text(own.upBias()));
  }

  private static String text(SafeTensors.Tensor tensor) {
    return Arrays.toString(tensor.shape()) + Arrays.hashCode(tensor.values());
  }

  /** The tensors of a file with their shapes, as in the fixtures. */
  static Map<String, List<Long>> shapes(SafeTensors tensors) {
    Map<String, List<Long>> shapes = new TreeMap<>();
    for (String name : tensors.names()) {
      List<Long> shape = new ArrayList<>();
      for (long extent : tensors.entry(name).shape()) {
        shape.add(extent);
      }
      shapes.put(name, shape);
    }
    return shapes;
  }

  static InputStream resource(String name) {
    InputStream stream = Parts.class.getResourceAsStream(name);
    if (stream == null) {
      throw new UncheckedIOException(new IOException("no resource " + name));
    }
    return stream;
  }
}
