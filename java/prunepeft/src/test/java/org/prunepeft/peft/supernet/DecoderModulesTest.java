package org.prunepeft.peft.supernet;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.DoublePointer;
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
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.DoubleDecoder;
import org.prunepeft.model.EncoderConfig;
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
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * LoRA and its variants on all linears of small decoders, and adapters: as near to float64 as
 * LibTorch's autograd.
 */
class DecoderModulesTest {
  /**
   * A gradient may be off float64's by so many times as much as LibTorch's own in float32, the
   * worse of two orders of the same sums: what is small beside the terms that cancel in it is off
   * by more of itself in both.
   */
  private static final double TIMES = 2;

  /**
   * And by a share of its norm, since LibTorch's may be near by chance: some have 3 values. It is
   * what rounding may do on one way forward and backward through all layers, a sum in either block.
   * So all gradients together are off by twice autograd's error and this share at most.
   */
  private static double ofOne(EncoderConfig config) {
    int longest = Math.max(config.hidden(), config.intermediate());
    return Rounding.gamma(2 * config.layers() * 2 * longest, Rounding.FLOAT32);
  }

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
   * @param parameters the modules' tensors by name
   * @param merged whether a weight has its update added before the product
   */
  private record Plain(Map<String, Tensor> parameters, Updates updates, Style style, boolean merged)
      implements Insertions, DoubleDecoder.Modules {
    private Tensor low(String path, String name) {
      String ending = updates == Updates.ADALORA || name.startsWith("m") ? "" : ".weight";
      return parameters.get(path + ".lora_" + name + ending);
    }

    @Override
    public Tensor linear(String path, Tensor w, Tensor bias, Tensor x) {
      Tensor a = low(path, "A");
      Tensor b = low(path, "B");
      if (updates == Updates.ADALORA) {
        a = low(path, "E").view(-1).diag().matmul(a);
      }
      Scalar scale = new Scalar(updates.scale());
      Tensor v = w.add(b.matmul(a), scale);
      Tensor y =
          merged ? x.matmul(v.t()) : x.matmul(w.t()).add(x.matmul(a.t()).matmul(b.t()), scale);
      if (updates == Updates.DORA) {
        Tensor magnitude = norms(w).add(low(path, "magnitude_change"));
        y = y.mul(magnitude.div(norms(v.detach())));
      }
      return bias == null ? y : y.add(bias);
    }

    private static Tensor norms(Tensor rows) {
      return rows.square().sum(1L).sqrt();
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      TensorVector columns = new TensorVector();
      for (FrozenLinear.Part part : linear.parts()) {
        Tensor bias = linear.bias();
        columns.push_back(
            linear(
                part.path(),
                linear.weight(part),
                bias == null ? null : bias.narrow(0, part.firstRow(), part.rows()),
                x));
      }
      return torch.cat(columns, 1);
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
      return afterBlock(block, layer, h, input);
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input) {
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
        Tensor z = adapter(v, path + "down.0");
        h =
            h.add(
                adapter(torch.gelu(z), path + "up")
                    .mul(new Scalar(style == Style.PARALLEL ? 4 : 1)));
      }
      return h;
    }

    private Tensor adapter(Tensor x, String path) {
      return torch.linear(
          x, parameters.get(path + ".weight"), new TensorOptional(parameters.get(path + ".bias")));
    }
  }

  /** The modules' own tensors. */
  private static Map<String, Tensor> parameters(PeftModules modules) {
    Map<String, Tensor> parameters = new HashMap<>();
    for (FlatParameters group : modules.groups().values()) {
      group.names().forEach(name -> parameters.put(name, group.get(name)));
    }
    return parameters;
  }

  /** The same results as {@link Agreement#run}, in float64. */
  private static Map<String, double[]> exact(
      EncoderConfig config,
      Map<String, SafeTensors.Tensor> tensors,
      PeftModules modules,
      Updates updates,
      Style style,
      EncoderInput input,
      Tensor weights) {
    Map<String, Tensor> leaves = new HashMap<>();
    parameters(modules)
        .forEach(
            (name, tensor) -> {
              Tensor leaf = tensor.detach().to(torch.ScalarType.Double);
              leaf.set_requires_grad(true);
              leaves.put(name, leaf);
            });
    Tensor weighted =
        new DoubleDecoder(config, tensors, new Plain(leaves, updates, style, false))
            .forward(input)
            .mul(weights.to(torch.ScalarType.Double));
    weighted.sum().backward();
    Map<String, double[]> results = new HashMap<>();
    results.put(Agreement.HIDDEN_STATES, doubles(weighted.detach()));
    leaves.forEach((name, leaf) -> results.put(name, doubles(leaf.grad())));
    return results;
  }

  private static double[] doubles(Tensor tensor) {
    double[] values = new double[Math.toIntExact(tensor.numel())];
    new DoublePointer(tensor.contiguous().data_ptr()).get(values);
    return values;
  }

  @ParameterizedTest
  @MethodSource("families")
  void gradientsAreAsNearToFloat64AsAutograds(Family family, Updates updates) {
    Random random = TestSeed.random();
    List<String> targets = family.config().projections().stream().map(Projection::target).toList();
    Style style = Style.values()[random.nextInt(Style.values().length)];
    PeftConfig config =
        PeftConfig.of(updates.on(targets), AdapterConfig.of(4, Activation.GELU, style));
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    try (CausalDecoder decoder = family.decoder(tensors);
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
      Map<String, double[]> exact =
          exact(decoder.config(), tensors, modules, updates, style, input, weights);
      Map<String, Tensor> own = parameters(modules);
      Map<String, float[]> autograds =
          Agreement.run(decoder, modules, new Plain(own, updates, style, true), input, weights);
      Map<String, float[]> otherwise =
          Agreement.run(decoder, modules, new Plain(own, updates, style, false), input, weights);
      modules.begin(ForwardPass.evaluation(tape));
      Map<String, float[]> actual = Agreement.run(decoder, modules, modules, input, weights);
      assertEquals(exact.keySet(), actual.keySet());
      exact.forEach(
          (name, values) -> {
            double size = Agreement.norm(values);
            double error = Rounding.distance(values, actual.get(name));
            double ofAutograd =
                Math.max(
                    Rounding.distance(values, autograds.get(name)),
                    Rounding.distance(values, otherwise.get(name)));
            double limit = TIMES * ofAutograd + ofOne(decoder.config()) * size;
            Rounding.assertAtMost(limit, error, style + ", " + name);
          });
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
