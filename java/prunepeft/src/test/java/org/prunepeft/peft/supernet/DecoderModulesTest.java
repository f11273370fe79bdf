package org.prunepeft.peft.supernet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfig.Style;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * LoRA and its variants on all linears of small decoders, and adapters, against LibTorch's
 * autograd.
 */
class DecoderModulesTest {
  /**
   * What is small beside the terms that cancel in it is off by more of itself: by as many times as
   * much as what LibTorch makes of two orders of the same sums.
   */
  private static final double ORDERS = 8;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  static Stream<Arguments> families() {
    return DecoderFamilies.all()
        .flatMap(family -> Stream.of(Updates.values()).map(of -> Arguments.of(family, of)));
  }

  /** What sits on the linears, rank 3, alpha 5. */
  private enum Updates {
    LORA,
    RSLORA,
    DORA,
    ADALORA;

    LoraConfig on(List<String> targets) {
      LoraConfig lora = LoraConfig.of(3, 5, 0, targets);
      return switch (this) {
        case LORA -> lora;
        case RSLORA -> lora.withRsLora(true);
        case DORA -> lora.withDora(true);
        case ADALORA -> lora.withAdaLora(new AdaLoraConfig(3, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9));
      };
    }

    /** PEFT adds 1e-5 to AdaLoRA's rank. */
    double scale() {
      return switch (this) {
        case LORA, DORA -> 5.0 / 3;
        case RSLORA -> 5 / Math.sqrt(3);
        case ADALORA -> 5 / (3 + 1e-5);
      };
    }
  }

  /**
   * The same in plain operations, by the papers' formulas.
   *
   * @param merged whether a weight has its update added before the product
   */
  private record Plain(PeftModules modules, Updates updates, Style style, boolean merged)
      implements Insertions {
    private Tensor parameter(String kind, String name) {
      return modules.groups().get(kind).get(name);
    }

    private Tensor low(FrozenLinear.Part part, String name) {
      String ending = updates == Updates.ADALORA || name.startsWith("m") ? "" : ".weight";
      return parameter(Candidate.LORA, part.path() + ".lora_" + name + ending);
    }

    private Tensor product(FrozenLinear linear, FrozenLinear.Part part, Tensor x) {
      Tensor w = linear.weight().narrow(0, part.firstRow(), part.rows());
      Tensor a = low(part, "A");
      Tensor b = low(part, "B");
      if (updates == Updates.ADALORA) {
        a = low(part, "E").view(-1).diag().matmul(a);
      }
      Scalar scale = new Scalar(updates.scale());
      Tensor v = w.add(b.matmul(a), scale);
      Tensor y =
          merged ? x.matmul(v.t()) : x.matmul(w.t()).add(x.matmul(a.t()).matmul(b.t()), scale);
      if (updates == Updates.DORA) {
        Tensor magnitude = norms(w).add(low(part, "magnitude_change"));
        y = y.mul(magnitude.div(norms(v.detach())));
      }
      return linear.bias() == null
          ? y
          : y.add(linear.bias().narrow(0, part.firstRow(), part.rows()));
    }

    private static Tensor norms(Tensor rows) {
      return rows.square().sum(1L).sqrt();
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      TensorVector columns = new TensorVector();
      linear.parts().forEach(part -> columns.push_back(product(linear, part, x)));
      return torch.cat(columns, 1);
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
      if (style == Style.HOULSBY || block == Block.FEED_FORWARD) {
        String path =
            "layers."
                + layer
                + (block == Block.ATTENTION ? ".attention" : "")
                + ".output.adapter.adapter_";
        Tensor v =
            switch (style) {
              case PFEIFFER -> h.add(input);
              case HOULSBY -> h;
              case PARALLEL -> input;
            };
        Tensor z = linear(v, path + "down.0");
        h =
            h.add(
                linear(torch.gelu(z), path + "up")
                    .mul(new Scalar(style == Style.PARALLEL ? 4 : 1)));
      }
      return h;
    }

    private Tensor linear(Tensor x, String path) {
      return torch.linear(
          x,
          parameter(Candidate.ADAPTER, path + ".weight"),
          new TensorOptional(parameter(Candidate.ADAPTER, path + ".bias")));
    }
  }

  @ParameterizedTest
  @MethodSource("families")
  void gradientsAgreeWithAutograd(Family family, Updates updates) {
    Random random = TestSeed.random();
    List<String> targets = family.config().projections().stream().map(Projection::target).toList();
    Style style = Style.values()[random.nextInt(Style.values().length)];
    PeftConfig config =
        PeftConfig.of(updates.on(targets), AdapterConfig.of(4, Activation.GELU, style));
    try (CausalDecoder decoder = family.decoder(family.tensors(random));
        PeftModules modules =
            new PeftModules(config, decoder.config(), config.space(decoder.config()).candidates());
        PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      try (NoGradGuard guard = new NoGradGuard()) {
        for (FlatParameters group : modules.groups().values()) {
          group.values().normal_(0, 0.1, RandomTensors.generator());
        }
      }
      EncoderInput input = packed(random);
      Tensor weights =
          RandomTensors.normal(27, decoder.config().hidden()).mul(input.mask().view(27, 1));
      Map<String, float[]> expected =
          Agreement.run(decoder, modules, new Plain(modules, updates, style, true), input, weights);
      Map<String, float[]> otherwise =
          Agreement.run(
              decoder, modules, new Plain(modules, updates, style, false), input, weights);
      modules.begin(ForwardPass.evaluation(tape));
      Map<String, float[]> actual = Agreement.run(decoder, modules, modules, input, weights);
      assertEquals(expected.keySet(), actual.keySet());
      expected.forEach(
          (name, values) -> {
            double error = Agreement.distance(values, actual.get(name));
            double size = Agreement.norm(values);
            double rounding = Agreement.distance(values, otherwise.get(name));
            assertTrue(
                error <= Math.max(Agreement.LARGEST * size, ORDERS * rounding),
                () ->
                    "%s, %s: off by %.3g, in another order by %.3g"
                        .formatted(style, name, error / size, rounding / size));
          });
      // What cancels has a ceiling too, and all gradients together do not cancel.
      expected.remove(Agreement.HIDDEN_STATES);
      actual.remove(Agreement.HIDDEN_STATES);
      Agreement.assertNear(expected, actual);
    }
  }

  /** Three rows of two samples, the last with padding behind. */
  private static EncoderInput packed(Random random) {
    long[] ids = random.longs(27, 0, DecoderFamilies.VOCABULARY).toArray();
    int[] starts = new int[27];
    byte[] mask = new byte[27];
    for (int i = 0; i < 27; i++) {
      starts[i] = i % 9 >= 4 ? 4 : 0;
      mask[i] = (byte) (i < 24 ? 1 : 0);
    }
    return EncoderInput.of(ids, new long[27], mask, 3, 9).startingAt(starts, 5);
  }
}
