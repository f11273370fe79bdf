package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The sources of all modules' tests. */
class SourcesTest {
  /** Random numbers that no seed names, and sources that outlive a test. */
  private static final Pattern UNSEEDED =
      Pattern.compile(
          "new (Splittable|Secure)?Random\\(\\s*\\)|new SecureRandom\\(|Math\\.random\\(|ThreadLocalRandom"
              + "|randomUUID\\(|Collections\\.shuffle\\(\\w+\\)|RandomGenerator\\.(getDefault|of)\\("
              + "|torch\\.(rand|randn|randint|randperm|normal|bernoulli)(_like)?\\(|GeneratorOptional\\(\\)"
              + "|getDefaultCPUGenerator|\\.(normal|uniform|bernoulli|random|exponential)_\\(\\s*\\)"
              + "|static (final )?(Random\\s|\\w+ \\w+ = TestSeed)");

  @Test
  void drawNothingThatNoSeedNames() throws IOException {
    Path modules = Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();
    List<String> found = new ArrayList<>();
    int tests = 0;
    for (String module : List.of("kernels", "prunepeft", "cli", "examples")) {
      try (Stream<Path> files = Files.walk(modules.resolve(module).resolve("src/test/java"))) {
        for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
          tests++;
          String text = Files.readString(file);
          UNSEEDED
              .matcher(text)
              .results()
              .forEach(
                  match ->
                      found.add(
                          "%s:%d: %s"
                              .formatted(
                                  modules.relativize(file),
                                  1 + text.substring(0, match.start()).lines().count(),
                                  match.group())));
        }
      }
    }
    assertEquals(List.of(), found, "tests draw from TestSeed alone");
    assertTrue(tests > 100, "sources read: " + tests);
  }
}
