package org.prunepeft.peft.type;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Each type of module against the published formula in LibTorch operations, by autograd. */
class ModuleTypesTest {
  private static final List<String> SOME = List.of("query", "key", "output.dense");

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static LoraConfig lora(boolean rsLora, boolean dora, boolean perProjection) {
    return new LoraConfig(
        5,
        7,
        0,
        SOME,
        rsLora,
        dora,
        perProjection,
        Map.of("1.output.dense", 2),
        Map.of("key", 3.0));
  }

  static Stream<PeftConfig> configurations() {
    return Stream.of(
        PeftConfig.of(lora(false, false, true), null),
        PeftConfig.of(lora(true, false, false), new AdapterConfig(4, Activation.RELU)),
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
            new LoraConfig(5, 7, 0, SOME)
                .withAdaLora(new AdaLoraConfig(5, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9)),
            null),
        PeftConfig.of(null, new AdapterConfig(6, Activation.SILU, AdapterConfig.Style.HOULSBY)),
        PeftConfig.of(null, new AdapterConfig(5, Activation.RELU, AdapterConfig.Style.PARALLEL)));
  }

  /** By the formulas of the papers. */
  private record Plain(PeftModules modules, LoraConfig lora, AdapterConfig adapter)
      implements Insertions {
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
    public Tensor linear(FrozenLinear linear, Tensor x) {
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
    public Tensor afterAttention(int layer, Tensor h, Tensor input, LayerNorm norm) {
      String path = "encoder.layer." + layer + ".attention.output.adapter.";
      return find(path + "adapter_up.bias") == null ? h : h.add(bottleneck(path, h));
    }

    @Override
    public Tensor afterFeedForward(int layer, Tensor h, Tensor input, LayerNorm norm) {
      String path = "encoder.layer." + layer + ".output.adapter.";
      if (find(path + "adapter_up.bias") == null) {
        return h;
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

  private static EncoderInput input() {
    long[] ids = new Random().longs(2 * 9, 0, SmallBert.CONFIG.vocabulary()).toArray();
    byte[] mask = new byte[2 * 9];
    java.util.Arrays.fill(mask, 0, 15, (byte) 1);
    return EncoderInput.of(ids, new long[2 * 9], mask, 2, 9);
  }

  private static Map<String, float[]> gradients(PeftModules modules) {
    Map<String, float[]> gradients = new HashMap<>();
    for (FlatParameters group : modules.groups().values()) {
      group.names().forEach(n -> gradients.put(n, Torch.toFloats(group.gradient(n))));
      group.clearGradients();
    }
    return gradients;
  }

  private static double error(float[] expected, float[] actual) {
    double difference = 0;
    double norm = 1e-300;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  private static LoraConfig loraOf(PeftConfig config) {
    return config.types().stream()
        .filter(LowRankType.class::isInstance)
        .map(type -> ((LowRankType) type).config)
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
    try (PointerScope scope = new PointerScope();
        Encoder encoder = SmallBert.create();
        Tape tape = new Tape();
        PeftModules modules = new PeftModules(config, SmallBert.CONFIG, kept)) {
      try (NoGradGuard guard = new NoGradGuard()) {
        for (FlatParameters group : modules.groups().values()) {
          group.values().normal_(0, 0.2, new GeneratorOptional());
        }
      }
      EncoderInput input = input();
      Tensor weights = torch.randn(18, 24).mul(input.mask().view(18, 1));
      modules.begin(ForwardPass.evaluation(tape));
      Tensor plain = encoder.forward(input, new Plain(modules, loraOf(config), adapterOf(config)));
      plain.mul(weights).sum().backward();
      Map<String, float[]> expected = gradients(modules);
      Tensor ours = encoder.forward(input, modules);
      ours.mul(weights).sum().backward();
      Map<String, float[]> actual = gradients(modules);
      assertTrue(
          error(Torch.toFloats(plain.mul(weights)), Torch.toFloats(ours.mul(weights))) <= 2e-5);
      expected.forEach(
          (name, gradient) -> {
            double error = error(gradient, actual.get(name));
            assertTrue(error <= 3e-4, () -> name + ": relative error " + error);
          });
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

  @Test
  void eachProjectionAndPlaceIsAModuleOfItsOwn() {
    List<Candidate> candidates =
        PeftConfig.of(
                lora(false, false, true),
                new AdapterConfig(6, Activation.RELU, AdapterConfig.Style.HOULSBY))
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
