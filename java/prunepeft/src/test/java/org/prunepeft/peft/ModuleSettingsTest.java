package org.prunepeft.peft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;

class ModuleSettingsTest {
  /** One setting of each kind. */
  public record Settled(int size, double scale, boolean gated, Block block, List<String> places)
      implements ModuleType {
    public Settled {
      if (size < 1) {
        throw new IllegalArgumentException("size must be at least 1, got " + size);
      }
    }

    @Override
    public String name() {
      return "settled";
    }

    @Override
    public List<Parameter> parameters(EncoderConfig encoder, int layer) {
      return List.of();
    }

    @Override
    public PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
      return new PeftModule() {};
    }
  }

  private static final Settled TYPE =
      new Settled(4, 0.5, false, Block.FEED_FORWARD, List.of("query"));

  @Test
  void componentsAreSettingsAsFilesHaveThem() {
    assertEquals(
        "{size=4, scale=0.5, gated=false, block=FEED_FORWARD, places=[query]}",
        ModuleSettings.of(TYPE).toString());
    assertEquals(
        TYPE,
        ModuleSettings.with(
            new Settled(1, 1, true, Block.ATTENTION, List.of()), ModuleSettings.of(TYPE)));
  }

  @Test
  void textsAreReadByTheKindOfTheSetting() {
    assertEquals(
        new Settled(7, 2, true, Block.ATTENTION, List.of("key", "value")),
        ModuleSettings.with(
            TYPE,
            Map.of(
                "size",
                "7",
                "scale",
                "2",
                "gated",
                "true",
                "block",
                "attention",
                "places",
                "key, value")));
    assertSame(TYPE, ModuleSettings.with(TYPE, Map.of()));
  }

  @ParameterizedTest
  @CsvSource({
    "sise, 4, did you mean size",
    "size, 4.5, 'setting size of module type settled must be of type int, got 4.5'",
    "size, many, got many",
    "size, 0, 'module type settled: size must be at least 1, got 0'",
    "scale, '', 'must be of type double, got '",
    "gated, perhaps, got perhaps",
    "block, head, '[ATTENTION, FEED_FORWARD]'"
  })
  void whatDoesNotFitIsNamed(String name, String value, String message) {
    String said =
        assertThrows(
                IllegalArgumentException.class,
                () -> ModuleSettings.with(TYPE, Map.of(name, value)))
            .getMessage();
    assertTrue(said.contains(message), said);
  }

  @Test
  void settingsAreForTypesThatAreNamed() {
    Map<String, Map<String, Integer>> settings = Map.of("vera", Map.of("rank", 3));
    assertEquals(
        3, ModuleSettings.of(ModuleTypes.of(List.of("vera"), settings).get(0)).get("rank"));
    String said =
        assertThrows(IllegalArgumentException.class, () -> ModuleTypes.of(List.of(), settings))
            .getMessage();
    assertTrue(said.contains("settings for the module type 'vera'"), said);
  }

  @Test
  void namesOfTheLibrarysTypesAreTaken() {
    ModuleType vera = ModuleTypes.byName("vera");
    assertThrows(IllegalArgumentException.class, () -> ModuleTypes.register(vera));
  }
}
