package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.EncoderConfig;

class ConfigDifferenceTest {
  private static Map<String, Object> config(String java, Map<String, Object> setup) {
    Map<String, Object> config = new LinkedHashMap<>();
    config.put(RunRecord.VERSIONS, Map.of("java", java));
    config.put(RunRecord.SETUP, setup);
    return config;
  }

  private static RunConfig run(Map<String, Object> config) {
    return new RunConfig(Path.of("run", "config.json"), config);
  }

  private static Optional<String> member(Map<String, Object> before, Map<String, Object> now) {
    return ConfigDifference.of(run(before), run(now), Set.of()).map(ConfigDifference::member);
  }

  private static Optional<ConfigDifference> ofRuns(
      Map<String, Object> one, Map<String, Object> other) {
    return ConfigDifference.ofRuns(run(one), run(other), Set.of());
  }

  @Test
  void whatALaterVersionHasAddedIsPassedOver() {
    Map<String, Object> before =
        config("17", Map.of("epochs", 2, "training", Map.of("shuffles", true)));
    Map<String, Object> setup =
        Map.of("epochs", 2, "later", 3, "training", Map.of("shuffles", true, "later", 4));
    assertEquals(Optional.of("setup"), member(before, config("17", setup)));
    Map<String, Object> now = config("21", setup);
    now.put("later", 5);
    assertEquals(Optional.empty(), member(before, now));
    // An earlier version does not know it.
    assertEquals(Optional.of("setup"), member(now, before));
    assertEquals(Optional.empty(), ofRuns(before, now));
    assertEquals(Optional.empty(), ofRuns(now, before));
    for (Map<String, Object> other :
        List.<Map<String, Object>>of(
            Map.of("epochs", 3, "later", 3, "training", Map.of("shuffles", true)),
            Map.of("epochs", 2, "training", Map.of("shuffles", false, "later", 4)),
            // A version leaves nothing out without a word.
            Map.of("epochs", 2))) {
      Map<String, Object> unlike = config("21", other);
      assertEquals(Optional.of("setup"), member(before, unlike), other.toString());
    }
    for (Map<String, Object> other :
        List.<Map<String, Object>>of(
            Map.of("epochs", 3, "later", 3, "training", Map.of("shuffles", true)),
            Map.of("epochs", 2, "training", Map.of("shuffles", false, "later", 4)))) {
      Map<String, Object> unlike = config("21", other);
      assertTrue(ofRuns(before, unlike).isPresent(), other.toString());
      assertTrue(ofRuns(unlike, before).isPresent(), other.toString());
    }
  }

  @Test
  void settingsOfATypeOfModulesAreNoneThatAVersionHasAdded() {
    Map<String, Object> before = config("17", Map.of("moduleSettings", Map.of()));
    Map<String, Object> now =
        config("21", Map.of("moduleSettings", Map.of("vera", Map.of("rank", 4))));
    assertEquals(Optional.of("setup"), member(before, now));
    before = config("17", Map.of("moduleSettings", Map.of("vera", Map.of("rank", 4))));
    now = config("21", Map.of("moduleSettings", Map.of("vera", Map.of("rank", 4, "later", "no"))));
    assertEquals(Optional.empty(), member(before, now));
  }

  /** {@code {"setup": {"lora": of}}} of places such as setup.lora. */
  private static Map<String, Object> nested(List<String> places, Object of) {
    Object inner = of;
    for (int i = places.size() - 1; i > 0; i--) {
      inner = Map.of(places.get(i), inner);
    }
    Map<String, Object> outer = new LinkedHashMap<>();
    outer.put(places.get(0), inner);
    return outer;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "setup.lora.rankPattern",
        "setup.lora.alphaPattern",
        "setup.adapter.bottleneckPattern",
        "setup.moduleSettings",
        "setup.files.chat.specialTokens",
        "search.strategy.assignment",
        "search.start.sizes.lora.rankPattern",
        "selection.sizes.adapter.bottleneckPattern"
      })
  void namesThatWereGivenAreNoneThatAVersionHasAdded(String place) {
    List<String> places = List.of(place.split("\\."));
    Map<String, Object> before = nested(places, Map.of());
    before.put(RunRecord.VERSIONS, Map.of("prunepeft_build", "a"));
    Map<String, Object> now = nested(places, Map.of("query", 64));
    now.put(RunRecord.VERSIONS, Map.of("prunepeft_build", "b"));
    assertEquals(Optional.of(places.get(0)), member(before, now));
    assertTrue(ofRuns(before, now).isPresent());
    assertTrue(ofRuns(now, before).isPresent());
    // An earlier version that had no such map.
    before.putAll(nested(places.subList(0, places.size() - 1), Map.of()));
    assertEquals(Optional.empty(), member(before, now));
  }

  /** What an earlier version did not write has a value all the same. */
  @Test
  @SuppressWarnings("unchecked")
  void ofAModelNothingIsPassedOver() {
    EncoderConfig model = DecoderFamilies.llama().config();
    Map<String, Object> before = config("17", Map.of());
    before.put(RunRecord.ENCODER, RunDirectory.reread("config.json", model));
    Map<String, Object> now = config("21", Map.of());
    Map<String, Object> own = RunDirectory.reread("config.json", model);
    now.put(RunRecord.ENCODER, own);
    ((Map<String, Object>) ((Map<?, ?>) before.get(RunRecord.ENCODER)).get("decoder"))
        .remove("logitCap");
    assertEquals(Optional.empty(), member(before, now));
    ((Map<String, Object>) own.get("decoder")).put("logitCap", 3.0);
    assertEquals(Optional.of(RunRecord.ENCODER), member(before, now));
  }

  /** In a file that someone has changed. */
  @Test
  void aModelThatIsNoneAndFilesThatAreNoneAreRefusedByFileAndMember() {
    Map<String, Object> whole = config("17", Map.of());
    whole.put(
        RunRecord.ENCODER, RunDirectory.reread("config.json", DecoderFamilies.llama().config()));
    assertRefused(config("17", Map.of()), whole, RunRecord.ENCODER);
    for (Object other : Arrays.asList(null, "x", List.of(), Map.of("layers", "x"))) {
      Map<String, Object> damaged = new LinkedHashMap<>(whole);
      damaged.put(RunRecord.ENCODER, other);
      assertRefused(damaged, whole, RunRecord.ENCODER);
      assertRefused(whole, damaged, RunRecord.ENCODER);
    }
    for (String member : List.of(RunData.MEMBER, ModelFiles.MEMBER)) {
      for (Object other :
          Arrays.asList(null, "x", Map.of("file", 1), Arrays.asList((Object) null))) {
        Map<String, Object> damaged = new LinkedHashMap<>(whole);
        damaged.put(member, other);
        assertRefused(whole, damaged, member);
      }
    }
  }

  private static void assertRefused(
      Map<String, Object> before, Map<String, Object> now, String member) {
    String file = Path.of("run", "config.json").toString();
    String message =
        assertThrows(RunDirectoryException.class, () -> member(before, now)).getMessage();
    assertTrue(
        message.startsWith(file + ", " + member + ": ")
            || message.equals(file + " has no member '" + member + "'"),
        message);
  }

  private static Map<String, Object> reading(
      String directory, String second, String sumOfSecond, String member) {
    Map<String, Object> files = new LinkedHashMap<>();
    files.put("train", directory + "/train.tsv");
    files.put("validation", null);
    files.put("test", null);
    files.put(second, directory + "/more.tsv");
    Map<String, Object> setup = new LinkedHashMap<>();
    setup.put("task", directory.substring(1));
    setup.put("data", null);
    setup.put("files", files);
    Map<String, Object> config = config("17", setup);
    config.put(
        member,
        List.of(
            Map.of("file", directory + "/train.tsv", "bytes", 9, "sha256", "a".repeat(64)),
            Map.of("file", directory + "/more.tsv", "bytes", 9, "sha256", sumOfSecond)));
    return config;
  }

  @Test
  void dataThatHoldTheSameMayLieElsewhere() {
    String sum = "b".repeat(64);
    Map<String, Object> before = reading("/old", "test", sum, RunData.MEMBER);
    assertEquals(Optional.empty(), member(before, reading("/new", "test", sum, RunData.MEMBER)));
    assertTrue(member(before, reading("/new", "test", "c".repeat(64), RunData.MEMBER)).isPresent());
    // The same files, the second of which is for something else.
    assertTrue(member(before, reading("/new", "validation", sum, RunData.MEMBER)).isPresent());
    // A version that kept no checksums.
    assertTrue(
        member(reading("/old", "test", sum, "other"), reading("/new", "test", sum, RunData.MEMBER))
            .isPresent());
  }

  @Test
  void aTasksDirectoryMayLieElsewhereToo() {
    List<Map<String, Object>> both =
        List.of("/old", "/new").stream()
            .map(
                directory -> {
                  Map<String, Object> config =
                      config("17", Map.of("task", "cola", "data", directory));
                  config.put(
                      RunData.MEMBER,
                      List.of(
                          Map.of(
                              "file",
                              directory + "/train.tsv",
                              "bytes",
                              9,
                              "sha256",
                              "a".repeat(64))));
                  return config;
                })
            .toList();
    assertEquals(Optional.empty(), member(both.get(0), both.get(1)));
    both.get(1).put(RunRecord.SETUP, Map.of("task", "sst2", "data", "/new"));
    assertEquals(Optional.of("setup"), member(both.get(0), both.get(1)));
  }
}
