package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What runs with the same settings have to leave to the byte. */
final class Results {
  /** They name the run's directory, or how long it took; so do checksums of such files. */
  private static final List<String> OTHERS = List.of("config.json", "config.yaml", "summary.md");

  private Results() {}

  /** All files of a directory but these, without seconds, by name. */
  static Map<String, byte[]> of(Path run) throws IOException {
    Map<String, byte[]> results = new TreeMap<>();
    try (var files = Files.walk(run)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (!OTHERS.contains(file.getFileName().toString())) {
          String text = Files.readString(file, StandardCharsets.ISO_8859_1);
          results.put(
              run.relativize(file).toString(),
              text.replaceAll("\"[a-z_]*(seconds|ratio|bytes|sha256)\" : [^,\n]*", "")
                  .getBytes(StandardCharsets.ISO_8859_1));
        }
      }
    }
    return results;
  }

  static void assertSame(Map<String, byte[]> expected, Path run) throws IOException {
    Map<String, byte[]> actual = of(run);
    assertEquals(expected.keySet(), actual.keySet());
    for (String name : expected.keySet()) {
      // As text: a failure shows where.
      assertEquals(text(expected.get(name)), text(actual.get(name)), name);
    }
  }

  private static String text(byte[] content) {
    return new String(content, StandardCharsets.ISO_8859_1);
  }
}
