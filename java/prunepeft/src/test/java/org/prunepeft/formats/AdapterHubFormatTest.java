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
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.Bottleneck.Input;
import org.prunepeft.peft.AdapterPart.LowRank;

class AdapterHubFormatTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final AdapterHubFormat format = new AdapterHubFormat();

  @TempDir Path temporary;

  private Path write(AdapterPart... parts) throws IOException {
    Path directory = temporary.resolve("adapter");
    RunDirectory target = RunDirectory.create(directory);
    format.write(Parts.adapter(List.of(parts)), target);
    target.complete();
    return directory;
  }

  private static Bottleneck serial(int layer, int size) {
    return Parts.bottleneck(layer, Block.FEED_FORWARD, Input.NORMED_SUM, size);
  }

  @Test
  void filesHaveTheKeysShapesAndFieldsThatAdaptersReads() throws IOException {
    Bottleneck last = serial(2, 7);
    LowRank value = Parts.lora(1, "attention.self.value", 4, 16);
    Path directory =
        write(
            Parts.lora(0, "attention.self.query", 4, 16),
            Parts.lora(0, "attention.self.value", 4, 16),
            Parts.lora(0, "output.dense", 4, 16),
            serial(0, 7),
            value,
            last);
    for (String file : List.of("adapter_config.json", "head_config.json")) {
      JsonNode expected = JSON.readTree(Parts.resource("adapters-" + file));
      assertEquals(expected, JSON.readTree(directory.resolve(file).toFile()), file);
    }
    Map<String, List<Long>> shapes =
        JSON.readValue(Parts.resource("adapters-tensors.json"), new TypeReference<>() {});
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter.safetensors"));
        SafeTensors head = SafeTensors.open(directory.resolve("model_head.safetensors"))) {
      assertEquals(shapes, Parts.shapes(tensors));
      assertEquals(
          Map.of(
              "heads.prunepeft.1.weight", List.of(5L, 24L), "heads.prunepeft.1.bias", List.of(5L)),
          Parts.shapes(head));
      assertArrayEquals(
          last.up().values(),
          tensors.floats("bert.encoder.layer.2.output.adapters.prunepeft.adapter_up.weight"));
      assertArrayEquals(
          value.b().values(),
          tensors.floats("bert.encoder.layer.1.attention.self.value.loras.prunepeft.lora_B"));
    }
  }

  /**
   * Adapters at both places and LoRA, by the names that each architecture has for what holds them.
   */
  @ParameterizedTest
  @MethodSource("org.prunepeft.formats.Parts#encodersButBert")
  void eachArchitectureHasItsOwnKeys(Architecture architecture) throws IOException {
    EncoderConfig encoder = Parts.encoder(architecture);
    List<AdapterPart> parts = new ArrayList<>();
    for (Projection projection :
        List.of(Projection.QUERY, Projection.VALUE, Projection.INTERMEDIATE, Projection.OUTPUT)) {
      parts.add(Parts.lora(encoder, projection));
    }
    parts.add(Parts.bottleneck(1, Block.ATTENTION, Input.OUTPUT, 6));
    parts.add(Parts.bottleneck(1, Block.FEED_FORWARD, Input.OUTPUT, 6));
    RunDirectory target = RunDirectory.create(temporary.resolve("adapter"));
    format.write(Parts.adapter(encoder, parts), target);
    target.complete();
    Map<String, Map<String, List<Long>>> fixtures =
        JSON.readValue(Parts.resource("adapters-architectures.json"), new TypeReference<>() {});
    try (SafeTensors tensors =
        SafeTensors.open(temporary.resolve("adapter").resolve("adapter.safetensors"))) {
      assertEquals(new TreeMap<>(fixtures.get(architecture.modelType())), Parts.shapes(tensors));
    }
  }

  @Test
  void reductionFactorsGiveTheExactSizeByTheLibrarysFloor() {
    for (int hidden : new int[] {24, 384, 383, 768, 1024}) {
      for (int size = 1; size <= hidden + 3; size++) {
        double factor = AdapterHubFormat.reductionFactor(hidden, size).doubleValue();
        assertEquals(size, (int) Math.floor(hidden / factor), hidden + " to " + size);
      }
    }
    assertEquals(3, AdapterHubFormat.reductionFactor(384, 128));
  }

  @Test
  void placesAndKindsOfBottlenecksHaveTheirFields() throws IOException {
    Path directory =
        write(
            Parts.bottleneck(0, Block.ATTENTION, Input.OUTPUT, 6),
            Parts.bottleneck(0, Block.FEED_FORWARD, Input.OUTPUT, 6),
            Parts.bottleneck(1, Block.FEED_FORWARD, Input.RESIDUAL, 6));
    JsonNode configs =
        JSON.readTree(directory.resolve("adapter_config.json").toFile()).at("/config/configs");
    assertEquals(2, configs.size());
    JsonNode houlsby = configs.get(0);
    assertTrue(houlsby.get("mh_adapter").asBoolean());
    assertTrue(houlsby.get("output_adapter").asBoolean());
    assertFalse(houlsby.get("original_ln_before").asBoolean());
    assertEquals(4, houlsby.get("reduction_factor").asInt());
    assertEquals(JSON.readTree("[1,2]"), houlsby.get("leave_out"));
    JsonNode parallel = configs.get(1);
    assertTrue(parallel.get("is_parallel").asBoolean());
    assertEquals(4.0, parallel.get("scaling").asDouble());
    assertFalse(parallel.get("mh_adapter").asBoolean());
    assertEquals(JSON.readTree("[0,2]"), parallel.get("leave_out"));
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter.safetensors"))) {
      assertTrue(
          tensors
              .names()
              .contains(
                  "bert.encoder.layer.0.attention.output.adapters.prunepeft.adapter_up.weight"));
    }
  }

  /** From 1.2 on, the library refuses a second one, wherever it is. */
  @Test
  void projectionsThatAreLeftHereAndThereAreOneConfiguration() throws IOException {
    Path directory =
        write(
            Parts.lora(0, "attention.self.query", 4, 16),
            Parts.lora(1, "attention.self.value", 4, 16),
            Parts.lora(1, "output.dense", 4, 16));
    JsonNode config =
        JSON.readTree(directory.resolve("adapter_config.json").toFile()).get("config");
    assertEquals("lora", config.get("architecture").asText());
    assertEquals(JSON.readTree("[\"q\",\"v\"]"), config.get("attn_matrices"));
    assertTrue(config.get("output_lora").asBoolean());
    assertFalse(config.get("intermediate_lora").asBoolean());
    assertEquals(JSON.readTree("[2]"), config.get("leave_out"));
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter.safetensors"))) {
      assertEquals(6, tensors.names().size());
    }
  }

  private void assertRefused(String reason, AdapterPart... parts) {
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> format.require(Parts.adapter(List.of(parts))))
            .getMessage();
    assertTrue(message.contains(reason), message);
  }

  @Test
  void whatAdaptersCannotHoldIsRefusedWithTheReason() {
    LowRank lora = Parts.lora(0, "attention.self.query", 4, 16);
    assertRefused("its head alone was trained");
    assertRefused(
        "no LoRA on encoder.layer.1.attention.output.dense",
        Parts.lora(1, "attention.output.dense", 4, 16));
    assertRefused(
        "layer 0 has two behind its feed-forward block",
        serial(0, 7),
        Parts.bottleneck(0, Block.FEED_FORWARD, Input.RESIDUAL, 7));
    assertRefused(
        "no DoRA",
        new LowRank(0, lora.path(), lora.a(), lora.b(), 16, false, 0.1, Parts.random(24), null));
  }

  @Test
  void updatesOfSeveralRanksAreOfTheLargestWithTheirScalesInB() throws IOException {
    LowRank query = Parts.lora(0, "attention.self.query", 4, 16);
    LowRank output = Parts.lora(2, "output.dense", 3, 12);
    Path directory = write(query, output);
    JsonNode config =
        JSON.readTree(directory.resolve("adapter_config.json").toFile()).get("config");
    assertEquals(4, config.get("r").asInt());
    assertEquals(4, config.get("alpha").asInt());
    assertEquals(0, config.get("dropout").asDouble());
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter.safetensors"))) {
      for (LowRank update : List.of(query, output)) {
        String key = "bert." + update.path() + ".loras.prunepeft.lora_";
        float[] a = tensors.floats(key + "A");
        assertEquals(4, a.length / (int) update.a().shape()[1]);
        double[] b = DecoderParts.doubles(tensors.floats(key + "B"));
        DecoderParts.assertSameUpdate(update, DecoderParts.product(b, a, 4), update.path());
      }
    }
  }

  @Test
  void updatesOfTwoTypesOnAProjectionAreOne() throws IOException {
    LowRank lora = Parts.lora(0, "attention.self.query", 4, 16);
    LowRank other = Parts.lora(0, "attention.self.query", 3, 2.5);
    Path directory = write(lora, other);
    JsonNode config =
        JSON.readTree(directory.resolve("adapter_config.json").toFile()).get("config");
    assertEquals(7, config.get("r").asInt());
    assertEquals(7, config.get("alpha").asInt());
    String key = "bert.encoder.layer.0.attention.self.query.loras.prunepeft.lora_";
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter.safetensors"))) {
      double[] actual =
          DecoderParts.product(
              DecoderParts.doubles(tensors.floats(key + "B")), tensors.floats(key + "A"), 7);
      DecoderParts.assertSameUpdate(
          DecoderParts.sum(DecoderParts.delta(lora), DecoderParts.delta(other)),
          DecoderParts.sum(DecoderParts.magnitudes(lora), DecoderParts.magnitudes(other)),
          actual,
          "the sum of two");
    }
  }
}
