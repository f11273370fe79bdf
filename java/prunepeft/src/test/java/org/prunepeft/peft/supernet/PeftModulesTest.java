package org.prunepeft.peft.supernet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.OutputMagnitudes;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** The supernet in a small whole model against the same model made of plain LibTorch operations. */
class PeftModulesTest {
  private static final PeftConfig CONFIG =
      PeftConfig.of(
          LoraConfig.of(5, 7, 0, List.of("query", "value")), AdapterConfig.of(9, Activation.RELU));

  private static SearchSpace space() {
    return CONFIG.space(SmallBert.CONFIG);
  }

  /** The same modules in plain operations that LibTorch differentiates itself. */
  private record Plain(PeftModules modules, double[] nearest) implements Agreement.Plain {
    Plain(PeftModules modules) {
      this(modules, new double[] {Double.POSITIVE_INFINITY});
    }

    @Override
    public double nearestKink() {
      return nearest[0];
    }

    private Tensor parameter(String type, String name) {
      return modules.groups().get(type).get(name);
    }

    private boolean has(String candidate) {
      return modules.candidates().stream().anyMatch(c -> c.name().equals(candidate));
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      TensorVector columns = new TensorVector();
      for (FrozenLinear.Part part : linear.parts()) {
        Tensor own = y.narrow(1, part.firstRow(), part.rows());
        int layer = Integer.parseInt(part.path().split("\\.")[2]);
        boolean target = part.path().endsWith(".query") || part.path().endsWith(".value");
        if (target && has("encoder.layer." + layer + ".lora")) {
          Tensor a = parameter("lora", part.path() + ".lora_A.weight");
          Tensor b = parameter("lora", part.path() + ".lora_B.weight");
          own = own.add(x.matmul(a.t()).matmul(b.t()).mul(new Scalar(7.0 / 5)));
        }
        columns.push_back(own);
      }
      return torch.cat(columns, 1);
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
      if (block != Block.FEED_FORWARD || !has("encoder.layer." + layer + ".adapter")) {
        return h;
      }
      String path = "encoder.layer." + layer + ".output.adapter.";
      Tensor v = norm.apply(h.add(input));
      Tensor z =
          torch.linear(
              v,
              parameter("adapter", path + "adapter_down.0.weight"),
              new TensorOptional(parameter("adapter", path + "adapter_down.0.bias")));
      nearest[0] = Math.min(nearest[0], z.abs().min().item_double());
      return torch
          .linear(
              z.relu(),
              parameter("adapter", path + "adapter_up.weight"),
              new TensorOptional(parameter("adapter", path + "adapter_up.bias")))
          .add(h);
    }
  }

  private static EncoderInput input() {
    Random random = TestSeed.random();
    int rows = 3;
    int length = 11;
    long[] ids = random.longs(rows * length, 0, SmallBert.CONFIG.vocabulary()).toArray();
    byte[] mask = new byte[rows * length];
    for (int i = 0; i < rows; i++) {
      int real = 4 + random.nextInt(length - 3);
      for (int j = 0; j < real; j++) {
        mask[i * length + j] = 1;
      }
    }
    return EncoderInput.of(ids, new long[rows * length], mask, rows, length);
  }

  /** Random weights everywhere, so that no gradient is 0 by construction. */
  private static void randomise(PeftModules modules) {
    try (NoGradGuard guard = new NoGradGuard()) {
      for (FlatParameters group : modules.groups().values()) {
        for (String name : group.names()) {
          group.get(name).normal_(0, 0.3, RandomTensors.generator());
        }
      }
    }
  }

  private static void assertAgree(List<Candidate> candidates) {
    Torch.load();
    try (PeftModules modules = new PeftModules(CONFIG, SmallBert.CONFIG, candidates)) {
      Agreement.check(modules, Plain::new, input(), 0.3);
    }
  }

  @Test
  void gradientsOfTheWholeSupernetAgreeWithAutograd() {
    assertAgree(space().candidates());
  }

  @Test
  void gradientsOfAPrunedNetAgreeWithAutograd() {
    assertAgree(
        space().candidates().stream()
            .filter(
                c ->
                    c.name().equals("encoder.layer.1.lora")
                        || c.name().equals("encoder.layer.2.adapter"))
            .toList());
  }

  @Test
  void freshWeightsDependOnSeedStageAndNameAlone() {
    Torch.load();
    List<Candidate> all = space().candidates();
    List<Candidate> some = all.subList(2, 4);
    try (PeftModules whole = new PeftModules(CONFIG, SmallBert.CONFIG, all);
        PeftModules part = new PeftModules(CONFIG, SmallBert.CONFIG, some)) {
      whole.initialise(3, "round/1");
      part.initialise(3, "round/1");
      String name = "encoder.layer.1.output.adapter.adapter_down.0.weight";
      float[] first = Torch.toFloats(whole.groups().get("adapter").get(name));
      assertTrue(
          java.util.Arrays.equals(first, Torch.toFloats(part.groups().get("adapter").get(name))));
      part.initialise(3, "round/2");
      assertFalse(
          java.util.Arrays.equals(first, Torch.toFloats(part.groups().get("adapter").get(name))));
    }
  }

  @Test
  void countsAreThoseOfTheMethod() {
    EncoderConfig shape = EncoderConfig.bert(6, 384, 12, 1536, 30522, 512);
    SearchSpace miniLm =
        PeftConfig.of(LoraConfig.DEFAULT.on(shape), AdapterConfig.DEFAULT).space(shape);
    assertEquals(12, miniLm.candidates().size());
    assertEquals(6 * (2 * 2 * 32 * 384 + 2 * 128 * 384 + 128 + 384), miniLm.totalParameters());
  }

  @Test
  void measuredOutputsAreMeansOverRealTokens() {
    Torch.load();
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder encoder = SmallBert.create();
        Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(
                CONFIG,
                SmallBert.CONFIG,
                space().candidates().stream().filter(c -> c.layer() == 2).toList())) {
      randomise(modules);
      EncoderInput input = input();
      OutputMagnitudes magnitudes = new OutputMagnitudes();
      modules.begin(
          new ForwardPass(
              tape,
              null,
              new ForwardPass.Measurement(magnitudes, input.rowMask(), input.tokens())));
      encoder.forward(input, modules);
      double[] plain = new double[1];
      double[] lora = new double[1];
      encoder.forward(
          input,
          new Insertions() {
            @Override
            public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
              Tensor out = new Plain(modules).afterLinear(linear, x, y);
              // 0 in columns and layers without a module.
              lora[0] +=
                  out.sub(y).abs().mul(input.mask().view(33, 1)).sum().item_double()
                      / (input.tokens() * 2 * 24);
              return out;
            }

            @Override
            public Tensor afterBlock(Block block, int layer, Tensor h, Tensor in, LayerNorm norm) {
              Tensor out = new Plain(modules).afterBlock(block, layer, h, in, norm);
              if (block == Block.FEED_FORWARD && layer == 2) {
                plain[0] =
                    out.sub(h).abs().mul(input.mask().view(33, 1)).sum().item_double()
                        / (input.tokens() * 24);
              }
              return out;
            }
          });
      // Means over tokens and columns of what passes the layers.
      double share =
          2
              * Rounding.likely(
                  RandomCheckpoint.roundings(SmallBert.CONFIG, 33 * 2 * 24), Rounding.FLOAT32);
      double adapter = magnitudes.mean("encoder.layer.2.adapter");
      Rounding.assertNear(plain[0], adapter, share * plain[0], "adapter");
      assertTrue(lora[0] > 0);
      double ofLora = magnitudes.mean("encoder.layer.2.lora");
      Rounding.assertNear(lora[0], ofLora, share * lora[0], "LoRA");
    }
  }
}
