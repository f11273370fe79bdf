package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.OutputMagnitudes;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * LoRA on every projection of every architecture computes what the checkpoint with W + scale·B·A in
 * it does: modules sit where the checkpoint's own names say.
 */
class MergedLoraTest {
  private static final LoraConfig LORA =
      LoraConfig.of(
          3,
          5,
          0,
          List.of(
              "query",
              "key",
              "value",
              "attention.output.dense",
              "intermediate.dense",
              "output.dense"));

  @BeforeAll
  static void load() {
    Torch.load();
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void modulesComputeWhatTheMergedCheckpointDoes(EncoderConfig config) throws IOException {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, random);
    int length = 9;
    long[] ids = random.longs(2 * length, 2, config.vocabulary()).toArray();
    byte[] mask = new byte[2 * length];
    Arrays.fill(mask, 0, 2 * length - 4, (byte) 1);
    PeftConfig peft = PeftConfig.of(LORA, null);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        Encoder encoder = new PostNormEncoder(config, new MapCheckpoint("base", tensors));
        PeftModules modules = new PeftModules(peft, config, peft.space(config).candidates())) {
      FlatParameters group = modules.groups().get("lora");
      int merged = 0;
      Map<String, SafeTensors.Tensor> folded = new TreeMap<>(tensors);
      for (String name : group.names()) {
        long[] shape = group.shape(name);
        float[] values = new float[Math.toIntExact(shape[0] * shape[1])];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) (0.2 * random.nextGaussian());
        }
        group.put(name, values);
      }
      for (String name : group.names()) {
        if (name.endsWith(".lora_A.weight")) {
          String path = name.substring(0, name.length() - ".lora_A.weight".length());
          fold(
              folded,
              path + ".weight",
              Torch.toFloats(group.get(name)),
              Torch.toFloats(group.get(path + ".lora_B.weight")));
          merged++;
        }
      }
      assertEquals(6 * config.layers(), merged);
      EncoderInput input = EncoderInput.of(ids, new long[2 * length], mask, 2, length);
      // Measured, so that the rows of relative positions would be noticed among the tokens'.
      OutputMagnitudes magnitudes = new OutputMagnitudes();
      modules.begin(
          new ForwardPass(
              tape,
              null,
              new ForwardPass.Measurement(magnitudes, input.rowMask(), input.tokens())));
      float[] ours = Torch.toFloats(encoder.forward(input, modules));
      try (Encoder whole = new PostNormEncoder(config, new MapCheckpoint("merged", folded))) {
        float[] expected = Torch.toFloats(whole.forward(input, Insertions.NONE));
        int real = (2 * length - 4) * config.hidden();
        float[] tokens = Arrays.copyOf(expected, real);
        // What rounding may move is measured, by weights that are off as far as a sum may be.
        double share = RandomCheckpoint.share(config, length);
        double moved =
            Rounding.moved(
                tokens,
                () -> {
                  var others = RandomCheckpoint.perturbed(folded, share, random);
                  try (Encoder off =
                      new PostNormEncoder(config, new MapCheckpoint("off", others))) {
                    return Arrays.copyOf(Torch.toFloats(off.forward(input, Insertions.NONE)), real);
                  } catch (IOException e) {
                    throw new UncheckedIOException(e);
                  }
                });
        Rounding.assertNear(tokens, Arrays.copyOf(ours, real), 2 * moved, "hidden states");
        assertTrue(different(expected, encoder, input) > 0.1);
      }
    }
  }

  /** How far the modules move the outputs at most. */
  private static double different(float[] merged, Encoder base, EncoderInput input) {
    float[] plain = Torch.toFloats(base.forward(input, Insertions.NONE));
    double most = 0;
    for (int i = 0; i < plain.length; i++) {
      most = Math.max(most, Math.abs(plain[i] - merged[i]));
    }
    return most;
  }

  private static void fold(
      Map<String, SafeTensors.Tensor> tensors, String name, float[] a, float[] b) {
    SafeTensors.Tensor weight = tensors.get(name);
    int rows = (int) weight.shape()[0];
    int cols = (int) weight.shape()[1];
    int rank = LORA.rank();
    float[] values = weight.values().clone();
    for (int i = 0; i < rows; i++) {
      for (int k = 0; k < cols; k++) {
        double sum = 0;
        for (int r = 0; r < rank; r++) {
          sum += (double) b[i * rank + r] * a[r * cols + k];
        }
        values[i * cols + k] += (float) (LORA.alpha() / rank * sum);
      }
    }
    tensors.put(name, new SafeTensors.Tensor(weight.shape(), values));
  }
}
