package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ConfigDifferenceTest {
  private static Map<String, Object> config(String java, Map<String, Object> setup) {
    Map<String, Object> config = new LinkedHashMap<>();
    config.put(RunRecord.VERSIONS, Map.of("java", java));
    config.put(RunRecord.SETUP, setup);
    return config;
  }

  private static Optional<String> member(Map<String, Object> before, Map<String, Object> now) {
    return ConfigDifference.of(before, now, Set.of()).map(ConfigDifference::member);
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
