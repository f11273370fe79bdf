package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.io.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPart.Place;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.PeftConfig;
import org.prunepeft.peft.PeftModules;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

class PeftFormatTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final PeftFormat format = new PeftFormat();

  @TempDir Path temporary;

  private Path write(TrainedAdapter adapter) throws IOException {
    Path directory = temporary.resolve("adapter");
    RunDirectory target = RunDirectory.create(directory);
    format.write(adapter, target);
    target.complete();
    return directory;
  }

  @Test
  void filesHaveTheKeysShapesAndFieldsThatPeftReads() throws IOException {
    LowRank odd = Parts.lora(2, "attention.self.value", 3, 2.5);
    Path directory =
        write(
            Parts.adapter(
                List.of(
                    Parts.lora(0, "attention.self.query", 4, 16),
                    Parts.lora(0, "attention.self.value", 4, 16),
                    odd,
                    Parts.lora(2, "output.dense", 4, 16))));
    JsonNode expected = JSON.readTree(Parts.resource("peft-adapter_config.json"));
    assertEquals(expected, JSON.readTree(directory.resolve("adapter_config.json").toFile()));
    Map<String, List<Long>> shapes =
        JSON.readValue(Parts.resource("peft-tensors.json"), new TypeReference<>() {});
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
      assertEquals(Map.of("format", "pt"), tensors.metadata());
      assertEquals(shapes, Parts.shapes(tensors));
      String key = "base_model.model.bert.encoder.layer.2.attention.self.value.";
      assertArrayEquals(odd.a().values(), tensors.floats(key + "lora_A.weight"));
      assertArrayEquals(odd.b().values(), tensors.floats(key + "lora_B.weight"));
    }
  }

  @Test
  void whatPeftCannotHoldIsRefusedWithTheRemedy() {
    LowRank lora = Parts.lora(0, "attention.self.query", 4, 16);
    TrainedAdapter mixed =
        Parts.adapter(
            List.of(lora, Parts.bottleneck(1, Place.FEED_FORWARD, Bottleneck.Input.NORMED_SUM, 5)));
    String message = assertThrows(IllegalArgumentException.class, () -> write(mixed)).getMessage();
    assertTrue(message.contains("PEFT has no bottleneck adapters"), message);
    assertTrue(message.contains("--format adapters"), message);
    assertFalse(Files.exists(temporary.resolve("adapter/adapter_config.json")));
    TrainedAdapter none = Parts.adapter(List.of());
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> format.require(none))
            .getMessage()
            .contains("at least one LoRA module"));
    LowRank dora =
        new LowRank(1, lora.path(), lora.a(), lora.b(), 16, false, 0.1, Parts.random(24));
    TrainedAdapter half = Parts.adapter(List.of(lora, dora));
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> format.require(half))
            .getMessage()
            .contains("use_dora"));
  }

  /** W + lora_alpha / r · B A for every key of the files, by PEFT's rules alone. */
  private static final class Merged implements Insertions {
    private final Map<String, Tensor> deltas = new TreeMap<>();

    Merged(Path directory, String prefix) throws IOException {
      JsonNode config = JSON.readTree(directory.resolve("adapter_config.json").toFile());
      try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
        for (JsonNode target : config.get("target_modules")) {
          String path = target.asText();
          int rank = config.get("rank_pattern").path(path).asInt(config.get("r").asInt());
          double alpha =
              config.get("alpha_pattern").path(path).asDouble(config.get("lora_alpha").asDouble());
          double scale = alpha / (config.get("use_rslora").asBoolean() ? Math.sqrt(rank) : rank);
          Tensor a = load(tensors, "base_model.model." + path + ".lora_A.weight");
          Tensor b = load(tensors, "base_model.model." + path + ".lora_B.weight");
          assertEquals(rank, a.size(0));
          deltas.put(
              path.substring(prefix.length()),
              b.matmul(a).mul(new org.bytedeco.pytorch.Scalar(scale)));
        }
      }
    }

    private static Tensor load(SafeTensors tensors, String key) throws IOException {
      return Torch.floats(tensors.floats(key), tensors.entry(key).shape())
          .to(torch.ScalarType.Double);
    }

    @Override
    public Tensor linear(FrozenLinear linear, Tensor x) {
      TensorVector rows = new TensorVector();
      for (FrozenLinear.Part part : linear.parts()) {
        Tensor own =
            linear.weight().narrow(0, part.firstRow(), part.rows()).to(torch.ScalarType.Double);
        Tensor delta = deltas.get(part.path());
        rows.push_back(delta == null ? own : own.add(delta));
      }
      Tensor weight = torch.cat(rows, 0).to(torch.ScalarType.Float);
      return torch.linear(x, weight, new TensorOptional(linear.bias()));
    }
  }

  @Test
  void aModelWithTheExportedUpdatesGivesTheSameHiddenStates() throws IOException {
    Torch.load();
    PeftConfig config =
        PeftConfig.of(new LoraConfig(5, 7, 0.2, List.of("query", "value", "output.dense")), null);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder encoder = SmallBert.create();
        Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(
                config,
                SmallBert.CONFIG,
                config.space(SmallBert.CONFIG).candidates().stream()
                    .filter(module -> module.layer() != 1)
                    .toList())) {
      for (FlatParameters group : modules.groups().values()) {
        group.values().normal_(0, 0.3, new org.bytedeco.pytorch.GeneratorOptional());
      }
      Path directory = write(Parts.adapter(new ArrayList<>(Parts.of(config, modules))));
      EncoderInput input = input();
      modules.begin(ForwardPass.evaluation(tape));
      float[] ours = Torch.toFloats(encoder.forward(input, modules));
      float[] merged = Torch.toFloats(encoder.forward(input, new Merged(directory, "bert.")));
      float[] frozen = Torch.toFloats(encoder.forward(input, Insertions.NONE));
      assertTrue(distance(merged, ours) <= 1e-5, () -> "relative " + distance(merged, ours));
      assertTrue(distance(merged, frozen) > 1e-2, "the updates change nothing");
    }
  }

  static EncoderInput input() {
    Random random = new Random();
    long[] ids = random.longs(3 * 11, 0, SmallBert.CONFIG.vocabulary()).toArray();
    byte[] mask = new byte[3 * 11];
    java.util.Arrays.fill(mask, (byte) 1);
    return EncoderInput.of(ids, new long[3 * 11], mask, 3, 11);
  }

  static double distance(float[] expected, float[] actual) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / norm);
  }
}
