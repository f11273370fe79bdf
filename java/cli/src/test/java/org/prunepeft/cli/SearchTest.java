package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.ProgressListener;
import org.prunepeft.PrunePeft;
import org.prunepeft.SearchOutcome;
import org.prunepeft.SearchSettings;
import org.prunepeft.Setup;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.io.RunDirectory;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.WarmUpSettings;

/** Whole searches on MiniLM and WordNet, so small that they find nothing. */
class SearchTest {
  private static final Set<String> FILES =
      Set.of(
          "config.json",
          "strategy.json",
          "rounds.json",
          "configuration.json",
          "metrics.jsonl",
          "result.json",
          "adapter.safetensors",
          "head.safetensors",
          "summary.md");
  private static final String[] SMALL = {
    "--train-examples=64",
    "--validation-examples=32",
    "--test-examples=32",
    "--epochs=1",
    "--max-seq-length=32",
    "--threads=2"
  };

  @TempDir static Path temporary;
  private static Path first;
  private static SearchOutcome outcome;

  @BeforeAll
  static void search() {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    first = temporary.resolve("first");
    outcome = search(first, 2, ProgressListener.NONE);
  }

  private static SearchOutcome search(Path output, int threads, ProgressListener listener) {
    Setup setup =
        Setup.builder()
            .sizes(new SplitSizes(64, 32, 32))
            .epochs(1)
            .threads(threads)
            .output(output)
            .build();
    SearchSettings settings =
        SearchSettings.builder()
            .warmUp(WarmUpSettings.defaults().withTurns(1))
            .warmUpExamples(16)
            .warmUpEpochs(1)
            .rounds(2)
            .roundExamples(32)
            .build();
    return PrunePeft.search(setup, settings, listener);
  }

  @Test
  void runDirectoryHasAllFilesAndIsComplete() throws IOException {
    assertEquals(FILES, names(first));
    for (String json :
        List.of(
            "config.json", "strategy.json", "rounds.json", "configuration.json", "result.json")) {
      assertTrue(Files.readString(first.resolve(json)).endsWith("\n"), json);
    }
    List<String> metrics = Files.readAllLines(first.resolve("metrics.jsonl"));
    // A warm-up of one step, two rounds of one, two steps of training; an epoch's line for each.
    assertEquals(1 + 2 + 2 + 4, metrics.size(), String.join("\n", metrics));
  }

  @Test
  void modulesThatAreKeptFitTheBudget() {
    long supernet = outcome.retrained().supernetParameters();
    assertTrue(outcome.retrained().parameters() <= supernet / 2);
    assertTrue(outcome.retrained().parameters() > 0);
    Map<String, Object> configuration = RunDirectory.open(first).readJson("configuration.json");
    assertEquals(
        outcome.retrained().parameters(),
        ((Number) configuration.get("trainable_parameters")).longValue());
    assertEquals(kept(), modules(first));
  }

  @Test
  void sameSearchGivesTheSameBits() throws IOException {
    Path second = temporary.resolve("second");
    search(second, 2, ProgressListener.NONE);
    for (String name :
        List.of(
            "strategy.json",
            "rounds.json",
            "configuration.json",
            "metrics.jsonl",
            "adapter.safetensors",
            "head.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(first.resolve(name)), Files.readAllBytes(second.resolve(name)), name);
    }
    assertEquals(result(first), result(second));
  }

  @Test
  void anotherThreadCountGivesAWholeRunWithNearlyTheSameHead() throws IOException {
    Path single = temporary.resolve("single");
    SearchOutcome other = search(single, 1, ProgressListener.NONE);
    assertEquals(FILES, names(single));
    assertEquals(outcome.retrained().head().loss(), other.retrained().head().loss(), 1e-3);
    assertTrue(other.retrained().parameters() <= other.retrained().supernetParameters() / 2);
  }

  @Test
  void cancelledSearchIsMarkedIncompleteWithTheReason() throws IOException {
    Path cancelled = temporary.resolve("cancelled");
    ProgressListener listener =
        new ProgressListener() {
          private boolean stop;

          @Override
          public void started(String name, String unit, long total) {
            stop |= name.startsWith("round 1");
          }

          @Override
          public boolean cancelled() {
            return stop;
          }
        };
    assertThrows(CancellationException.class, () -> search(cancelled, 2, listener));

    assertTrue(names(cancelled).contains("config.json"));
    assertFalse(names(cancelled).contains("result.json"));
    assertEquals("failed: cancelled\n", Files.readString(cancelled.resolve("INCOMPLETE")));
    Call call = Call.of("train", "--modules", cancelled.toString()).exits(1);
    assertTrue(call.err().contains("has no complete run: failed: cancelled"), call.err());
  }

  @Test
  void strategyOfARunServesAnother() {
    Path again = temporary.resolve("again");
    Call call = call(again, "search", "--strategy=" + first, "--rounds=2", "--round-examples=32");
    call.exits(0);
    assertTrue(call.out().contains("run directory: " + again), call.out());
    assertTrue(call.out().contains("test accuracy"), call.out());
    assertTrue(call.out().matches("(?s).*search .* s, retraining .* s: ratio .*"), call.out());
    assertEquals(
        RunDirectory.open(first).readJson("strategy.json"),
        RunDirectory.open(again).readJson("strategy.json"));
  }

  @Test
  void configurationOfARunIsTrainedAgain() throws IOException {
    Path trained = temporary.resolve("trained");
    call(trained, "train", "--modules=" + first).exits(0);
    assertEquals(
        Set.of(
            "config.json",
            "configuration.json",
            "metrics.jsonl",
            "result.json",
            "adapter.safetensors",
            "head.safetensors",
            "summary.md"),
        names(trained));
    assertEquals(kept(), modules(trained));
  }

  private static Call call(Path output, String command, String... options) {
    String[] arguments = new String[options.length + SMALL.length + 2];
    arguments[0] = command;
    arguments[1] = "--output=" + output;
    System.arraycopy(options, 0, arguments, 2, options.length);
    System.arraycopy(SMALL, 0, arguments, 2 + options.length, SMALL.length);
    return Call.of(arguments);
  }

  private static List<String> kept() {
    return outcome.pruning().kept().stream().map(Candidate::name).toList();
  }

  /** The names in a run's configuration. */
  private static List<String> modules(Path run) {
    Object modules = RunDirectory.open(run).readJson("configuration.json").get("modules");
    return ((List<?>) modules)
        .stream().map(module -> (String) ((Map<?, ?>) module).get("name")).toList();
  }

  /** result.json without what a clock measured. */
  private static Map<String, Object> result(Path run) {
    Map<String, Object> result = RunDirectory.open(run).readJson("result.json");
    result.keySet().removeIf(key -> key.endsWith("_seconds") || key.endsWith("_ratio"));
    return result;
  }

  private static Set<String> names(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
    }
  }
}
