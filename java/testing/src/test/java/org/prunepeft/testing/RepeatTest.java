package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What {@code java/repeat-random-tests} logs of tests that end unusually, and what it makes of it.
 */
@Timeout(900)
class RepeatTest {
  private static final Path MODULE = Path.of(System.getProperty("basedir", "")).toAbsolutePath();

  /** Ends its process in its third run, after another test of the class. */
  static class Halting {
    private static int runs;

    @Test
    void aPasses() {
      assertTrue(TestSeed.draw() != 0);
    }

    @Test
    void bHalts() {
      if (TestSeed.draw() != 0 && ++runs == 3) {
        Runtime.getRuntime().halt(7);
      }
    }
  }

  /** Can do nothing with what it draws at first, and later at times. */
  static class Skipping {
    private static int runs;

    @Test
    void draws() {
      assumeTrue(TestSeed.draw() != 0 && ++runs > 2 && runs % 3 != 0);
    }
  }

  /** Of its cases most can never run. */
  static class SkippingCases {
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
    void draws(int number) {
      assumeTrue(TestSeed.draw() != 0 && number == 5);
    }
  }

  /** Never runs. */
  static class NeverRunning {
    @Test
    void draws() {
      assumeTrue(TestSeed.draw() == TestSeed.draw());
    }
  }

  @TempDir Path temporary;
  private Path log;

  @BeforeEach
  void nameTheLog() {
    log = temporary.resolve("log");
  }

  private static EndedProcess run(ProcessBuilder builder) throws IOException, InterruptedException {
    return EndedProcess.of(builder.redirectErrorStream(true), Duration.ofMinutes(4));
  }

  private EndedProcess repeat(String type, int times) throws IOException, InterruptedException {
    return run(
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Dbasedir=" + MODULE,
            "-cp",
            System.getProperty("java.class.path"),
            Repeat.class.getName(),
            "log=" + log,
            "suite=testing",
            "classes=" + MODULE.resolve("target/test-classes"),
            "times=" + times,
            "only=^RepeatTest\\$" + type + "#"));
  }

  /** The script in a project of its own, with this module's classes. */
  private EndedProcess script(String... options) throws IOException, InterruptedException {
    Path java = Files.createDirectories(temporary.resolve("project/java"));
    Path script = java.resolve("repeat-random-tests");
    if (Files.notExists(script)) {
      for (String name : List.of("repeat-random-tests", "tests.sh", "prunepeft/pom.xml")) {
        Files.createDirectories(java.resolve(name).getParent());
        Files.copy(MODULE.resolveSibling(name), java.resolve(name));
      }
      for (String module : List.of("testing", "cli")) {
        Path target = Files.createDirectories(java.resolve(module).resolve("target"));
        Files.writeString(target.resolve("test-classpath"), System.getProperty("java.class.path"));
      }
      copy(MODULE.resolve("target/test-classes"), java.resolve("testing/target/test-classes"));
    }
    List<String> command =
        new ArrayList<>(List.of("bash", script.toString(), "--no-build", "--log", log.toString()));
    command.addAll(List.of(options));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder
        .environment()
        .merge(
            "PATH",
            Path.of(System.getProperty("java.home"), "bin").toString(),
            (path, own) -> own + File.pathSeparator + path);
    return run(builder);
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
  }

  /** How many lines of the log have a test and a state. */
  private long count(String test, String state) throws IOException {
    return Files.readAllLines(log).stream()
        .map(line -> line.split("\t"))
        .filter(fields -> fields[1].endsWith(test) && fields[3].equals(state))
        .count();
  }

  private List<String> last() throws IOException {
    List<String> lines = Files.readAllLines(log);
    return Arrays.asList(lines.get(lines.size() - 1).split("\t"));
  }

  @Test
  void aTestThatEndsTheProcessHasFailedWithItsSeed() throws Exception {
    assertEquals(7, repeat("Halting", 5).exitValue());
    List<String> begun = last();
    assertEquals("RepeatTest$Halting#bHalts", begun.get(1));
    assertEquals("begun", begun.get(3));
    for (int call = 0; call < 2; call++) {
      EndedProcess ended = script("--suites", "");
      assertEquals(1, ended.exitValue(), ended.text());
      assertEquals(1, count("#bHalts", "FAILED"));
      assertEquals(0, count("#aPasses", "FAILED"));
      assertEquals(begun.subList(0, 3), last().subList(0, 3));
      assertTrue(
          ended
              .text()
              .contains(
                  "it did not end: "
                      // The process has no properties of this one.
                      + SeedExtension.command(
                          begun.get(1),
                          begun.get(2),
                          GivenSettings.of(System.getenv(), new Properties()))),
          ended.text());
      assertTrue(ended.text().contains("2 tests, 5 runs, 1 failures"), ended.text());
    }
    // It goes on with the others.
    assertEquals(0, repeat("Halting", 4).exitValue());
    assertEquals(1, script("--suites", "").exitValue());
    assertEquals(4, count("#aPasses", "ok"));
    assertEquals(3, count("#bHalts", "ok"));
  }

  @Test
  void whatHasBegunAndNotEndedHasFailed() throws Exception {
    Files.writeString(log, "a\t\t\tline\t0\trun '@TEST@' @SEED@\na\tT#a\t5\tbegun\t0\n");
    // Two that have ended, a test of two of a class.
    Files.writeString(
        log,
        "a\tT#a\t6\tbegun\t0\na\tT#b\t6\tbegun\t0\na\tT#a\t6\tok\t1\t\na\tT#b\t6\tok\t1\t\n",
        StandardOpenOption.APPEND);
    EndedProcess ended = script("--suites", "");
    assertEquals(1, ended.exitValue());
    assertTrue(ended.text().contains("it did not end: run 'T#a' 5\n"), ended.text());
    assertTrue(ended.text().contains("2 tests, 3 runs, 1 failures"), ended.text());
  }

  @Test
  void aTestThatIsSkippedForWhatItDrewIsRepeated() throws Exception {
    assertEquals(0, repeat("Skipping", 7).exitValue());
    assertEquals(7, count("#draws", "ok"));
    // Of 13 runs the first two, and each third.
    assertEquals(6, count("#draws", "skipped"));
    assertEquals(0, repeat("Skipping", 7).exitValue());
    assertEquals(7, count("#draws", "ok"));
  }

  @Test
  void casesThatAreAlwaysSkippedDoNotHideTheOthers() throws Exception {
    assertEquals(0, repeat("SkippingCases", 4).exitValue());
    assertEquals(4, count("#draws", "ok"));
  }

  @Test
  void aTestThatIsAlwaysSkippedIsLeftOut() throws Exception {
    assertEquals(0, repeat("NeverRunning", 1000).exitValue());
    assertEquals(Repeat.SKIPS, count("#draws", "skipped"));
  }

  @Test
  void aNameThatNoTestHasIsRefused() throws Exception {
    assertEquals(Repeat.NO_TEST, repeat("NoSuchClass", 1).exitValue());
    EndedProcess ended = script("--suites", "testing", "--only", "NoSuchTest#no", "--times", "1");
    assertEquals(2, ended.exitValue(), ended.text());
    assertTrue(ended.text().contains("has a name with 'NoSuchTest#no'"), ended.text());
    EndedProcess found =
        script("--suites", "testing", "--only", "TestSeedTest#aFixed", "--times", "1");
    assertEquals(0, found.exitValue(), found.text());
  }
}
