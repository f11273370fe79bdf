package org.prunepeft.peft.type;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.Block;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.model.Projection;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.supernet.Agreement;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Each type of module against the published formula in LibTorch operations, by autograd. */
class ModuleTypesTest {
  private static final List<String> SOME = List.of("query", "key", "output.dense");

  private static final Vera VERA = new Vera(5, SOME, 0, 0.3, 7);

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static LoraConfig lora(boolean rsLora, boolean dora, boolean perProjection) {
    return LoraConfig.of(5, 7, 0, SOME)
        .with()
        .rsLora(rsLora)
        .dora(dora)
        .perProjection(perProjection)
        .rankPattern(Map.of("1.output.dense", 2))
        .alphaPattern(Map.of("key", 3.0))
        .build();
  }

  static Stream<PeftConfig> configurations() {
    return Stream.of(
        PeftConfig.of(lora(false, false, true), null),
        PeftConfig.of(lora(true, false, false), AdapterConfig.of(4, Activation.RELU)),
        PeftConfig.of(lora(false, true, false), null),
        PeftConfig.of(
            lora(true, true, true),
            new AdapterConfig(
                6,
                Activation.GELU,
                AdapterConfig.Style.HOULSBY,
                0.5,
                Map.of("0.output.adapter", 3))),
        PeftConfig.of(
            LoraConfig.of(5, 7, 0, SOME)
                .withAdaLora(new AdaLoraConfig(5, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9)),
            null),
        PeftConfig.of(null, null, List.of(VERA)),
        PeftConfig.of(null, AdapterConfig.of(6, Activation.SILU, AdapterConfig.Style.HOULSBY)),
        PeftConfig.of(null, AdapterConfig.of(5, Activation.RELU, AdapterConfig.Style.PARALLEL)));
  }

  /** By the formulas of the papers. */
  private record Plain(
      PeftModules modules, LoraConfig lora, AdapterConfig adapter, double[] nearest)
      implements Agreement.Plain {
    Plain(PeftModules modules, PeftConfig config) {
      this(modules, loraOf(config), adapterOf(config), new double[] {Double.POSITIVE_INFINITY});
    }

    @Override
    public double nearestKink() {
      return nearest[0];
    }

    private Tensor find(String name) {
      for (FlatParameters group : modules.groups().values()) {
        for (String known : group.names()) {
          if (known.equals(name)) {
            return group.get(name);
          }
        }
      }
      return null;
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      TensorVector columns = new TensorVector();
      for (FrozenLinear.Part part : linear.parts()) {
        Tensor w = linear.weight().narrow(0, part.firstRow(), part.rows());
        Tensor bias = linear.bias().narrow(0, part.firstRow(), part.rows());
        Tensor a = find(part.path() + ".lora_A.weight");
        if (a != null) {
          double alpha = part.path().endsWith(".key") ? 3 : 7;
          double rank = part.path().endsWith("1.output.dense") ? 2 : 5;
          assertEquals(rank, a.size(0));
          double scale = lora.rsLora() ? alpha / Math.sqrt(rank) : alpha / rank;
          Tensor v = w.add(find(part.path() + ".lora_B.weight").matmul(a), new Scalar(scale));
          Tensor change = find(part.path() + ".lora_magnitude_change");
          if (change != null) {
            Tensor magnitude = w.square().sum(1L).sqrt().add(change);
            Tensor norm = v.detach().square().sum(1L).sqrt();
            v = v.mul(magnitude.div(norm).unsqueeze(1));
          }
          w = v;
        }
        Tensor lambda = find(part.path() + ".lora_E");
        if (lambda != null) {
          Tensor p = find(part.path() + ".lora_B");
          Tensor q = find(part.path() + ".lora_A");
          // PEFT divides by init_r + 1e-5.
          w = w.add(p.matmul(lambda.view(-1).diag()).matmul(q), new Scalar(7 / (5 + 1e-5)));
        }
        Tensor b = find(part.path() + ".vera_lambda_b");
        if (b != null) {
          Tensor d = find(part.path() + ".vera_lambda_d_change").add(new Scalar(VERA.initial()));
          Tensor up = frozen('B', w.size(0), VERA.rank());
          w =
              w.add(
                  b.diag().matmul(up).matmul(d.diag()).matmul(frozen('A', VERA.rank(), x.size(1))));
        }
        columns.push_back(torch.linear(x, w, new TensorOptional(bias)));
      }
      return torch.cat(columns, 1);
    }

    private Tensor bottleneck(String path, Tensor v) {
      Tensor z =
          torch.linear(
              v,
              find(path + "adapter_down.0.weight"),
              new TensorOptional(find(path + "adapter_down.0.bias")));
      if (adapter.nonLinearity() == Activation.RELU) {
        nearest[0] = Math.min(nearest[0], z.abs().min().item_double());
      }
      return torch
          .linear(
              switch (adapter.nonLinearity()) {
                case GELU -> torch.gelu(z);
                case SILU -> torch.silu(z);
                case RELU -> z.relu();
                case IDENTITY -> z;
              },
              find(path + "adapter_up.weight"),
              new TensorOptional(find(path + "adapter_up.bias")))
          .mul(new Scalar(adapter.scaling()));
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
      String attention = block == Block.ATTENTION ? ".attention" : "";
      String path = "encoder.layer." + layer + attention + ".output.adapter.";
      if (find(path + "adapter_up.bias") == null) {
        return h;
      }
      if (block == Block.ATTENTION) {
        return h.add(bottleneck(path, h));
      }
      return h.add(
          bottleneck(
              path,
              switch (adapter.style()) {
                case PFEIFFER -> norm.apply(h.add(input));
                case HOULSBY -> h;
                case PARALLEL -> input;
              }));
    }
  }

  private static Tensor frozen(char side, long rows, long columns) {
    return new Vera.Frozen(VERA.seed(), side, (int) rows, (int) columns, ComputeDevice.CPU)
        .tensor();
  }

  private static EncoderInput input() {
    long[] ids = TestSeed.random().longs(2 * 9, 0, SmallBert.CONFIG.vocabulary()).toArray();
    byte[] mask = new byte[2 * 9];
    Arrays.fill(mask, 0, 15, (byte) 1);
    return EncoderInput.of(ids, new long[2 * 9], mask, 2, 9);
  }

  private static LoraConfig loraOf(PeftConfig config) {
    return config.types().stream()
        .map(
            type ->
                type instanceof Lora lora
                    ? lora.config()
                    : type instanceof Dora dora ? dora.config() : null)
        .filter(Objects::nonNull)
        .findFirst()
        .orElse(null);
  }

  private static AdapterConfig adapterOf(PeftConfig config) {
    return config.types().stream()
        .filter(BottleneckAdapter.class::isInstance)
        .map(type -> ((BottleneckAdapter) type).config)
        .findFirst()
        .orElse(null);
  }

  @ParameterizedTest
  @MethodSource("configurations")
  void outputsAndGradientsAreThoseOfThePublishedFormula(PeftConfig config) {
    List<Candidate> all = config.space(SmallBert.CONFIG).candidates();
    List<Candidate> kept =
        all.stream().filter(module -> module.name().hashCode() % 5 != 0).toList();
    try (PeftModules modules = new PeftModules(config, SmallBert.CONFIG, kept)) {
      Agreement.check(modules, of -> new Plain(of, config), input(), 0.2);
    }
  }

  @ParameterizedTest
  @MethodSource("configurations")
  void newModulesChangeNothing(PeftConfig config) {
    AdapterConfig adapter = adapterOf(config);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder encoder = SmallBert.create();
        Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(config, SmallBert.CONFIG, config.space(SmallBert.CONFIG).candidates());
        PeftModules none = new PeftModules(config, SmallBert.CONFIG, List.of())) {
      modules.initialise(3, "final");
      EncoderInput input = input();
      modules.begin(ForwardPass.evaluation(tape));
      none.begin(ForwardPass.evaluation(tape));
      if (adapter != null && adapter.style() == AdapterConfig.Style.PFEIFFER) {
        // Serial adapters alone: D and U have one spread, so that U hides the rest.
        FlatParameters group = modules.groups().get("adapter");
        for (String name : group.names()) {
          if (name.endsWith("weight")) {
            double spread = group.get(name).square().mean().sqrt().item_double();
            assertEquals(1 / Math.sqrt(24), spread, 0.3 / Math.sqrt(24), name);
          }
          if (name.endsWith("adapter_up.weight")) {
            group.get(name).zero_();
          }
        }
      }
      assertArrayEquals(
          Torch.toFloats(encoder.forward(input, none)),
          Torch.toFloats(encoder.forward(input, modules)));
    }
  }

  @ParameterizedTest
  @MethodSource("configurations")
  void kernelsKnowAllOfALayerButDora(PeftConfig config) {
    boolean dora = config.types().stream().anyMatch(Dora.class::isInstance);
    try (Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(
                config, SmallBert.CONFIG, config.space(SmallBert.CONFIG).candidates())) {
      modules.begin(ForwardPass.prediction(tape));
      assertEquals(dora, modules.adapters(0) == null);
      modules.begin(ForwardPass.evaluation(tape));
      assertNull(modules.adapters(0));
    }
  }

  private static ModuleType typeOn(String projection, double dropout, boolean dora, boolean ada) {
    LoraConfig config = LoraConfig.of(5, 7, dropout, SOME).with().dora(dora).build();
    String name = "lora." + projection;
    List<String> targets = List.of(projection);
    if (ada) {
      return new AdaLora(
          config.withAdaLora(new AdaLoraConfig(5, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9)), name, targets);
    }
    return dora ? new Dora(config, name, targets) : new Lora(config, name, targets);
  }

  /** LoRA, DoRA and AdaLoRA: query, key and value are one stacked linear. */
  @ParameterizedTest
  @CsvSource({"false, false", "true, false", "false, true"})
  void eachModuleOnALinearHasItsOwnDropout(boolean dora, boolean ada) {
    PeftConfig config =
        new PeftConfig(
            List.of(
                typeOn("query", 0.5, dora, ada),
                typeOn("key", 0, dora, ada),
                typeOn("value", 0.25, dora, ada)));
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(config, SmallBert.CONFIG, config.space(SmallBert.CONFIG).candidates());
        FrozenLinear linear =
            new FrozenLinear(
                new FrozenWeight(RandomTensors.normal(72, 24), RandomTensors.normal(72)),
                stacked())) {
      modules.begin(new ForwardPass(tape, new ForwardPass.Masks(3, 14, 15, null), null));
      List<Dropout> dropouts =
          modules.on(linear, true).modules().stream().map(LoraModule::dropout).toList();
      assertEquals(new Dropout(0.5f, 3, mask("query"), 14, 15), dropouts.get(0));
      assertNull(dropouts.get(1));
      assertEquals(new Dropout(0.25f, 3, mask("value"), 14, 15), dropouts.get(2));
      modules.begin(ForwardPass.evaluation(tape));
      modules.on(linear, true).modules().forEach(module -> assertNull(module.dropout()));
    }
  }

  @Test
  void aRowOfZerosStaysZeroUnderDora() {
    LoraConfig config = LoraConfig.of(4, 4, 0, List.of("query")).with().dora(true).build();
    Dora dora = new Dora(config, "lora.query", List.of("query"));
    try (PointerScope scope = new PointerScope()) {
      Tensor weight = RandomTensors.normal(72, 24);
      weight.narrow(0, 5, 1).zero_();
      try (FrozenLinear linear =
          new FrozenLinear(new FrozenWeight(weight, RandomTensors.normal(72)), stacked())) {
        float[] gain =
            Torch.toFloats(
                dora.update(
                        new LowRankType.Target(path("query"), 24, List.of()),
                        List.of(RandomTensors.normal(4, 24), torch.zeros(24, 4), torch.zeros(24)))
                    .gain(linear, linear.parts().get(0)));
        for (int i = 0; i < gain.length; i++) {
          // Of two norms of 24 squares; a root halves what a sum is off by.
          double limit = Rounding.gamma(24 + 4, Rounding.FLOAT32);
          Rounding.assertNear(i == 5 ? 0 : 1, gain[i], limit, "row " + i);
        }
      }
    }
  }

  /** ‖W‖ is kept: of each weight its own, and while that is as it was. */
  @Test
  void dorasGainIsThatOfTheWeightAsItIs() {
    LoraConfig config = LoraConfig.of(4, 4, 0, List.of("query")).with().dora(true).build();
    Dora dora = new Dora(config, "lora.query", List.of("query"));
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Tensor a = RandomTensors.normal(4, 24);
      Tensor b = RandomTensors.normal(24, 4);
      Tensor change = RandomTensors.normal(24);
      LowRankType.Update update =
          dora.update(new LowRankType.Target(path("query"), 24, List.of()), List.of(a, b, change));
      for (int i = 0; i < 2; i++) {
        Tensor weight = RandomTensors.normal(72, 24);
        try (FrozenLinear linear = new FrozenLinear(new FrozenWeight(weight, null), stacked())) {
          for (int turn = 0; turn < 3; turn++) {
            Tensor w = weight.narrow(0, 0, 24);
            Tensor expected =
                change
                    .add(w.square().sum(1L).sqrt())
                    .div(w.add(b.matmul(a)).square().sum(1L).sqrt());
            // Both are off by sums of 4 products and 24 squares, of the magnitudes in W + BA.
            Tensor terms = w.abs().add(b.abs().matmul(a.abs())).square().sum(1L).sqrt();
            double cancelling =
                terms.div(w.add(b.matmul(a)).square().sum(1L).sqrt()).max().item_double();
            double limit = 2 * Rounding.gamma(4 + 24 + 6, Rounding.FLOAT32) * cancelling;
            float[] expectedGain = Torch.toFloats(expected);
            Rounding.assertNear(
                expectedGain,
                Torch.toFloats(update.gain(linear, linear.parts().get(0))),
                limit * Rounding.largest(expectedGain),
                "gain");
            if (turn == 0) {
              b.mul_(new Scalar(2));
            } else {
              weight.mul_(new Scalar(0.5));
            }
          }
        }
      }
    }
  }

  @Test
  void frozenMatricesOfVeraAreSharedAndUniform() {
    Vera.Frozen key = new Vera.Frozen(7, 'A', 40, 50, ComputeDevice.CPU);
    Tensor matrix = key.tensor();
    assertSame(matrix, new Vera.Frozen(7, 'A', 40, 50, ComputeDevice.CPU).tensor());
    assertArrayEquals(key.values(), Torch.toFloats(matrix));
    // The deviation of a uniform distribution within the bound √(6 / 50).
    assertEquals(Math.sqrt(2 / 50.0), matrix.std().item_double(), 0.01);
    assertFalse(
        Arrays.equals(key.values(), new Vera.Frozen(8, 'A', 40, 50, key.device()).values()));
  }

  /** A·x then varies as much as x, whatever the projection's width. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aBeginsByTheInputsOfItsProjection(boolean dora) {
    LoraConfig config = LoraConfig.of(4, 4, 0, List.of("query")).with().dora(dora).build();
    for (EncoderConfig encoder : List.of(SmallBert.CONFIG, DecoderFamilies.llama().config())) {
      for (Projection projection : encoder.projections()) {
        LoraVariant type =
            dora
                ? new Dora(config, "lora", List.of("query"))
                : new Lora(config, "lora", List.of("query"));
        ModuleType.Parameter a = type.parameters(encoder, projection, "x").get(0);
        assertEquals(encoder.inputs(projection), a.shape()[1], projection::toString);
        assertEquals(1 / Math.sqrt(a.shape()[1]), a.deviation(), projection::toString);
      }
    }
  }

  private static List<FrozenLinear.Part> stacked() {
    List<FrozenLinear.Part> parts = new ArrayList<>();
    for (String projection : List.of("query", "key", "value")) {
      parts.add(new FrozenLinear.Part(0, path(projection), 24L * parts.size(), 24));
    }
    return parts;
  }

  private static String path(String projection) {
    return "encoder.layer.0.attention.self." + projection;
  }

  private static int mask(String projection) {
    return LowRankType.maskNumber(path(projection));
  }

  @Test
  void eachProjectionAndPlaceIsAModuleOfItsOwn() {
    List<Candidate> candidates =
        PeftConfig.of(
                lora(false, false, true),
                AdapterConfig.of(6, Activation.RELU, AdapterConfig.Style.HOULSBY))
            .space(SmallBert.CONFIG)
            .candidates();
    assertEquals(3 * 5, candidates.size());
    assertEquals(
        List.of(
            "encoder.layer.1.adapter.attention",
            "encoder.layer.1.adapter.output",
            "encoder.layer.1.lora.key",
            "encoder.layer.1.lora.output.dense",
            "encoder.layer.1.lora.query"),
        candidates.stream().filter(c -> c.layer() == 1).map(Candidate::name).toList());
    assertEquals(
        List.of("adapter", "lora"), candidates.stream().map(Candidate::type).distinct().toList());
    // Rank 2 on layer 1's output.dense alone.
    assertEquals(2 * (24 + 40), candidates.get(5 + 3).parameters());
    assertEquals(5 * (24 + 40), candidates.get(3).parameters());
  }

  /** LoRA modules of a layer by default. */
  private static List<String> ofALayer(EncoderConfig model, Boolean perProjection) {
    LoraConfig lora = LoraConfig.builder().perProjection(perProjection).build().on(model);
    return PeftConfig.of(lora, null).space(model).candidates().stream()
        .filter(module -> module.layer() == 1)
        .map(Candidate::name)
        .toList();
  }

  @Test
  void unlessItIsSaidADecodersProjectionsAreModulesOfTheirOwnAndAnEncodersAreOne() {
    EncoderConfig decoder = DecoderFamilies.llama().config();
    List<String> projections =
        decoder.projections().stream()
            .map(projection -> "encoder.layer.1.lora." + projection.target())
            .sorted()
            .toList();
    assertEquals(7, projections.size());
    assertEquals(projections, ofALayer(decoder, null));
    assertEquals(projections, ofALayer(decoder, true));
    assertEquals(List.of("encoder.layer.1.lora"), ofALayer(decoder, false));
    List<String> both = List.of("encoder.layer.1.lora.query", "encoder.layer.1.lora.value");
    assertEquals(List.of("encoder.layer.1.lora"), ofALayer(SmallBert.CONFIG, null));
    assertEquals(both, ofALayer(SmallBert.CONFIG, true));
    assertEquals(List.of("encoder.layer.1.lora"), ofALayer(SmallBert.CONFIG, false));
  }

  @Test
  void stylesHaveAdapterHubsNames() {
    assertEquals(AdapterConfig.Style.PARALLEL, AdapterConfig.Style.byName("par_bn"));
    assertEquals(AdapterConfig.Style.HOULSBY, AdapterConfig.Style.byName("houlsby"));
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> AdapterConfig.Style.byName("pfeifer"))
            .getMessage()
            .contains("pfeiffer"));
  }
}
