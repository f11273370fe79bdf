package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.RunInfo;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.FixedSeed;

/** Several budgets in one command; runs in a list and side by side. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class RunsTest {
  @TempDir static Path temporary;
  private static Path file;
  private static Path model;
  private static Path runs;

  @BeforeAll
  static void sweep() throws IOException {
    file = temporary.resolve("words.csv");
    Files.writeString(
        file,
        IntStream.range(0, 80)
            .mapToObj(i -> "the thing %d,%s\n".formatted(i, i % 3 == 0 ? "good" : "bad"))
            .collect(Collectors.joining("", "text,label\n", "")));
    model = Small.model(temporary);
    runs = temporary.resolve("runs");
    call(
            "search",
            "sweep",
            "--keep=0.25,0.5,0.7",
            "--rounds=1",
            "--round-examples=16",
            "--warm-up-examples=16",
            "--warm-up-epochs=1")
        .exits(0);
    call("train", "other", "--modules=head").exits(0);
  }

  private static Call call(String command, String name, String... options) {
    return Call.of(
        command,
        "--model=" + model,
        "--train-file=" + file,
        "--output=" + runs.resolve(name),
        Small.modules(),
        options);
  }

  private static Set<String> modules(Path run) {
    return Stream.of(
            RunDirectory.open(run).readJson("configuration.json", "modules", Candidate[].class))
        .map(Candidate::name)
        .collect(Collectors.toSet());
  }

  @Test
  void aSweepPrunesOnFromWhatTheLargerBudgetLeft() throws IOException {
    Path sweep = runs.resolve("sweep");
    Set<String> largest = modules(sweep.resolve("keep-0.7"));
    Set<String> middle = modules(sweep.resolve("keep-0.5"));
    Set<String> least = modules(sweep.resolve("keep-0.25"));
    assertTrue(largest.containsAll(middle) && middle.containsAll(least), least.toString());
    assertTrue(least.size() < middle.size() && middle.size() < largest.size());
    for (String name : List.of("keep-0.7", "keep-0.5", "keep-0.25")) {
      Map<String, Object> result = RunDirectory.open(sweep.resolve(name)).readJson("result.json");
      double share =
          ((Number) result.get("trainable_parameters")).doubleValue()
              / ((Number) result.get("supernet_parameters")).doubleValue();
      assertTrue(share <= Double.parseDouble(name.substring(5)), name + ": " + share);
    }
    // One warm-up for all.
    assertEquals(
        Files.readString(sweep.resolve("keep-0.7/strategy.json")),
        Files.readString(sweep.resolve("keep-0.25/strategy.json")));
    String summary = Files.readString(sweep.resolve("summary.md"));
    assertTrue(summary.contains("\n|  keep 0.7 | "), summary);
    assertTrue(summary.indexOf("keep 0.7") < summary.indexOf("keep 0.25"), summary);
  }

  /** Modules have 256 and 162 parameters: what fits 752 is no more than 742. */
  @Test
  void aBudgetThatTheLargerRunFitsTooIsSearchedFromARunThatExceedsIt() throws IOException {
    Path first = near("near", "--strategy=weight", "--budget=1170,752,745");
    Path exceeding = first.resolve("budget-1170");
    assertEquals(exceeding.toString(), begun(first.resolve("budget-752")));
    assertEquals(exceeding.toString(), begun(first.resolve("budget-745")));
    assertTrue(modules(exceeding).containsAll(modules(first.resolve("budget-745"))));

    Path whole =
        near("near-whole", "--warm-up-examples=16", "--warm-up-epochs=1", "--budget=752,745");
    assertEquals(null, begun(whole.resolve("budget-745")));
    assertEquals(
        Files.readString(whole.resolve("budget-752/strategy.json")),
        Files.readString(whole.resolve("budget-745/strategy.json")));
  }

  private static Path near(String name, String... options) {
    call(
            "search",
            name,
            Stream.concat(Stream.of("--rounds=1", "--round-examples=16"), Stream.of(options))
                .toArray(String[]::new))
        .exits(0);
    return runs.resolve(name);
  }

  /** The run whose modules a search began with; null: it was none. */
  private static String begun(Path run) throws IOException {
    String modules = "\nmodules: ";
    String config = Files.readString(run.resolve("config.yaml"));
    int at = config.indexOf(modules);
    return at < 0 ? null : config.substring(at + modules.length()).lines().findFirst().get();
  }

  /** They are other words in the larger run's files: names, a size, all settings. */
  @Test
  void aSweepGoesOnWithTheModulesThatWereTyped() {
    Path sweep = temporary.resolve("typed");
    Call.of(
            "search",
            "--model=" + model,
            "--train-file=" + file,
            "--output=" + sweep,
            "--epochs=1",
            "--max-seq-length=16",
            "--threads=2",
            "--strategy=all",
            "--rounds=1",
            "--round-examples=16",
            "--keep=0.5,0.25",
            "--target-modules=all-linear",
            "--reduction-factor=16",
            "--module-types=vera",
            "--module-settings=vera.rank=4")
        .exits(0);
    assertTrue(modules(sweep.resolve("keep-0.5")).containsAll(modules(sweep.resolve("keep-0.25"))));
  }

  @Test
  void aSweepBeginsWithTheModulesOfARunAsTheyAreThere() {
    Path larger = runs.resolve("sweep/keep-0.7");
    Path sweep = temporary.resolve("from-a-run");
    Call.of(
            "search",
            "--model=" + model,
            "--train-file=" + file,
            "--output=" + sweep,
            "--modules=" + larger,
            "--epochs=1",
            "--max-seq-length=16",
            "--threads=2",
            "--strategy=all",
            "--rounds=1",
            "--round-examples=16",
            "--keep=0.5,0.25")
        .exits(0);
    Setup own = Setup.ofRun(sweep.resolve("keep-0.25"));
    assertEquals(Setup.ofRun(larger).lora(), own.lora());
    assertEquals(Setup.ofRun(larger).adapter(), own.adapter());
  }

  @Test
  void aRunOfASweepRunsAgainByItself() throws IOException {
    Path run = runs.resolve("sweep/keep-0.25");
    Path again = temporary.resolve("again");
    Call.of("search", "--config=" + run.resolve("config.yaml"), "--output=" + again).exits(0);
    assertEquals(
        -1,
        Files.mismatch(run.resolve("adapter.safetensors"), again.resolve("adapter.safetensors")));
  }

  @Test
  void trainingsOfSeveralBudgetsAreMadeOneAfterTheOther() throws IOException {
    call("train", "random", "--modules=random", "--budget=1k,500").exits(0);
    for (int budget : List.of(1000, 500)) {
      Path run = runs.resolve("random/budget-" + budget);
      long parameters =
          RunDirectory.open(run).readJson("result.json", "trainable_parameters", Long.class);
      assertTrue(parameters > 0 && parameters <= budget, parameters + " of " + budget);
    }
    Path again = temporary.resolve("random-again");
    Call.of(
            "train",
            "--config=" + runs.resolve("random").resolve("config.yaml"),
            "--output=" + again)
        .exits(0);
    assertEquals(
        Files.readString(runs.resolve("random/budgets.json")),
        Files.readString(again.resolve("budgets.json")));
    call("train", "twice", "--modules=random", "--budget=1000,1k").exits(2, "none of them twice");
    call("train", "seeds", "--modules=random", "--budget=1k,500", "--seeds=1,2")
        .exits(2, "several budgets go with one seed");
    call("train", "half", "--modules=random", "--budget=0.5k").exits(0);
    call("train", "part", "--modules=random", "--budget=0.0005k")
        .exits(2, "'0.0005k' is not a whole number");
    assertFalse(Files.exists(runs.resolve("twice")) || Files.exists(runs.resolve("seeds")));
  }

  @Test
  void aRunOfManyNamesRunsAgainFromItsFile() throws IOException {
    String names = String.join(",", Collections.nCopies(120, "encoder.layer.0.lora"));
    call("train", "named", "--modules=" + names, "--class-weights=1,2").exits(0);
    Path named = runs.resolve("named");
    Path again = temporary.resolve("named-again");
    Call.of("train", "--config=" + named.resolve("config.yaml"), "--output=" + again).exits(0);
    assertEquals(modules(named), modules(again));
    String config = Files.readString(named.resolve("config.yaml"));
    assertTrue(config.contains("class_weights: \"1, 2\"\n"), config);
  }

  @Test
  void runsAreListedWithWhatTheyAre() throws IOException {
    Path damaged = Files.createDirectories(runs.resolve("cut"));
    Files.copy(runs.resolve("other/config.json"), damaged.resolve("config.json"));
    Files.writeString(damaged.resolve("INCOMPLETE"), "failed: no room\n");
    String table = Call.of("runs", runs).exits(0).out();
    List<String> lines = table.lines().toList();
    assertTrue(lines.get(0).matches("\\| run +\\| began +\\| command +\\| model.*"), table);
    assertEquals(1, lines.stream().map(String::length).distinct().count(), table);
    JsonNode json =
        new JsonMapper().readTree(Call.of("runs", runs, "--format=json").exits(0).out());
    Map<String, JsonNode> byName = new TreeMap<>();
    json.forEach(run -> byName.put(run.get("run").asText(), run));
    JsonNode half = byName.get("sweep/keep-0.5");
    assertEquals("search", half.get("command").asText());
    assertEquals("words", half.get("task").asText());
    assertEquals(modules(runs.resolve("sweep/keep-0.5")).size(), half.get("modules").asInt());
    assertTrue(half.get("kept").asDouble() <= 0.5);
    assertEquals("accuracy", half.get("metric").asText());
    assertEquals(
        Small.test(runs.resolve("sweep/keep-0.5")).get("accuracy"), half.get("test").asDouble());
    assertEquals("complete", half.get("state").asText());
    assertEquals("failed: no room", byName.get("cut").get("state").asText());
    assertTrue(byName.get("cut").get("test").isNull());
    // That of the three is none itself.
    assertFalse(byName.containsKey("sweep"));
    String csv = Call.of("runs", runs, "--format=csv").exits(0).out();
    assertEquals(json.size() + 1, csv.lines().count());
    Call.of("runs", temporary.resolve("nowhere")).exits(1, "nowhere does not exist");
    Path empty = Files.createDirectories(temporary.resolve("empty"));
    Call.of("runs", empty).exits(0, "there are no runs in " + empty);
  }

  @Test
  void runsBehindALinkAreFoundAndEachOnce() throws IOException {
    Path linked = Files.createSymbolicLink(temporary.resolve("linked"), runs.resolve("sweep"));
    String listed = Call.of("runs", linked, "--format=csv").exits(0).out();
    assertEquals(4, listed.lines().count(), listed);
    Path around = Files.createDirectories(temporary.resolve("around"));
    Files.createSymbolicLink(around.resolve("again"), runs.resolve("sweep"));
    Files.createSymbolicLink(around.resolve("itself"), around);
    Files.createSymbolicLink(around.resolve("latest"), Path.of("again/keep-0.5"));
    Files.createSymbolicLink(around.resolve("nowhere"), Path.of("absent"));
    String found = Call.of("report", around, "--format=csv").exits(0).out();
    assertEquals(4, found.lines().count(), found);
  }

  @Test
  void aRunThatIsSealedAnewKeepsTheTimeAtWhichItBegan() throws IOException {
    Path run = runs.resolve("other");
    Instant began = RunInfo.of(run).began();
    Call.of("seal", run).exits(0);
    assertEquals(began, RunInfo.of(run).began());
    Call.of("evaluate", run).exits(0);
  }

  @Test
  void runsAreComparedInSettingsAndPredictions() throws IOException {
    Path first = runs.resolve("sweep/keep-0.5");
    Path second = runs.resolve("other");
    String table = Call.of("compare", first, second, first).exits(0).out();
    assertTrue(table.contains("| command "), table);
    assertTrue(table.contains("| test accuracy "), table);
    assertTrue(table.contains("0.00 points [0.00, 0.00], no difference shown"), table);
    assertFalse(table.contains("setup."), table);
    assertFalse(table.contains("--rounds"), table);
    JsonNode json =
        new JsonMapper()
            .readTree(Call.of("compare", first, second, first, "--format=json").exits(0).out());
    JsonNode last = json.get(json.size() - 1);
    double expected =
        (double) Small.test(second).get("accuracy") - (double) Small.test(first).get("accuracy");
    JsonNode difference = last.get(second.toString());
    assertEquals(expected, difference.get(0).asDouble(), 1e-12);
    assertTrue(difference.get(1).asDouble() <= expected, difference.toString());
    assertTrue(difference.get(2).asDouble() >= expected, difference.toString());
    Call.of("compare", first).exits(2);
  }

  @Test
  void otherTestExamplesAreNotCompared() {
    call("train", "test-seed", "--modules=head", "--test-seed=5").exits(0);
    Call.of("compare", runs.resolve("other"), runs.resolve("test-seed"))
        .exits(0)
        .prints("other test examples", "| --test-seed ");
  }

  @Test
  void aDirectoryOfSeveralRunsNamesThem() {
    Path sweep = runs.resolve("sweep");
    Call.of("predict", sweep, "--text=x")
        .exits(
            1,
            "is no run but holds several; name one of them: ",
            sweep.resolve("keep-0.25").toString());
  }
}
