package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Example;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

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
          "predictions.jsonl",
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
            .warmUp(WarmUpSettings.DEFAULT.withTurns(1))
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
    // A warm-up of one step, two rounds of one, two steps of training; an epoch's line for each;
    // the test.
    assertEquals(1 + 2 + 2 + 4 + 1, metrics.size(), String.join("\n", metrics));
  }

  @Test
  void eachTrainingOfASearchHasANameOfItsOwnInTheMetrics() throws IOException {
    Map<String, List<Integer>> trainings = steps(first);
    assertEquals(
        List.of("warm-up turn 1", "round 1", "round 2", "train"),
        trainings.keySet().stream().map(name -> name.replaceFirst(", \\d+ modules$", "")).toList());
    // A second training of one name would begin at step 1 again.
    trainings.forEach(
        (name, steps) ->
            assertEquals(IntStream.rangeClosed(1, steps.size()).boxed().toList(), steps, name));
  }

  /** The numbers of a run's steps by their trainings, as its metrics have them. */
  private static Map<String, List<Integer>> steps(Path run) throws IOException {
    Map<String, List<Integer>> steps = new LinkedHashMap<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      Map<?, ?> record = new JsonMapper().readValue(line, Map.class);
      if (record.get("step") instanceof Integer step) {
        String name = (String) record.get("training");
        steps.computeIfAbsent(name, training -> new ArrayList<>()).add(step);
      }
    }
    return steps;
  }

  @Test
  void aRoundOfOneStepMeasuresNoReliability() {
    assertTrue(
        outcome.pruning().rounds().stream()
            .flatMap(round -> round.readings().stream())
            .allMatch(reading -> reading.reliability().isEmpty()));
    assertTrue(
        outcome.pruning().rounds().stream()
            .filter(round -> round.sickness().isEmpty())
            .allMatch(round -> round.information() == PruningRound.Information.UNMEASURED));
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
            "head.safetensors",
            "predictions.jsonl")) {
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
    assertEquals("interrupted\n", Files.readString(cancelled.resolve("INCOMPLETE")));
    Call call = Call.of("train", "--modules", cancelled.toString()).exits(1);
    assertTrue(call.err().contains("has no complete run: interrupted"), call.err());
  }

  @Test
  void strategyOfARunServesAnother() {
    Path again = temporary.resolve("again");
    Call call = call(again, "search", "--strategy=" + first, "--rounds=2", "--round-examples=32");
    call.exits(0);
    assertTrue(call.out().contains("run directory: " + again), call.out());
    assertTrue(call.out().contains("test accuracy"), call.out());
    assertTrue(call.out().matches("(?s).*search .* s, retraining .* s: ratio .*"), call.out());
    assertTrue(call.out().contains("\ntraining all modules for "), call.out());
    assertEquals(
        RunDirectory.open(first).readJson("strategy.json"),
        RunDirectory.open(again).readJson("strategy.json"));
  }

  /** Each has its own warm-up, rounds and choices: other modules are left after a round. */
  @Test
  void searchesOfSeveralSeedsAreMadeTogether() throws IOException {
    Path output = temporary.resolve("together");
    Call call =
        call(
            output,
            "search",
            "--seeds=4,9",
            "--together",
            "--warm-up-turns=1",
            "--warm-up-examples=16",
            "--warm-up-epochs=1",
            "--rounds=2",
            "--round-examples=32");
    call.exits(0);
    for (int seed : List.of(4, 9)) {
      Path own = output.resolve("seed-" + seed);
      Set<String> files = new java.util.HashSet<>(FILES);
      files.add("config.yaml");
      assertEquals(files, names(own));
      assertEquals(1 + 2 + 2 + 4 + 1, Files.readAllLines(own.resolve("metrics.jsonl")).size());
      assertTrue(call.err().contains("seed " + seed + ": round 2 of 2"), call.err());
      // The times are those of both, and predict none of one.
      String summary = Files.readString(own.resolve("summary.md"));
      assertFalse(summary.contains("training all modules"), summary);
      Map<?, ?> tested = (Map<?, ?>) RunDirectory.open(own).readJson("result.json").get("test");
      try (TrainedModel model = TrainedModel.load(own)) {
        assertEquals(tested.get("loss"), model.evaluate(model.dataset().test()).loss());
      }
    }
    assertTrue(call.out().contains("| deviation |"), call.out());
  }

  private static void measuredSearch(Path run, String... more) {
    List<String> options =
        new ArrayList<>(
            List.of(
                "--strategy=measured",
                "--keep=0.25",
                "--supernet-examples=32",
                "--supernet-epochs=1",
                "--measured-examples=32",
                "--subsets=24"));
    options.addAll(List.of(more));
    call(run, "search", options.toArray(String[]::new)).exits(0);
  }

  @Test
  void fromNewWeightsTheChoiceIsTrainedForTheEpochsThatWereGiven() throws IOException {
    Path run = temporary.resolve("new-weights");
    measuredSearch(run, "--no-warm-start", "--epochs=2");
    // From the supernet's weights it would be half of them.
    assertEquals(2, RunDirectory.open(run).readJson("result.json").get("epochs"));
    Map<?, ?> search = (Map<?, ?>) RunDirectory.open(run).readJson("config.json").get("search");
    assertEquals(false, ((Map<?, ?>) search.get("measured")).get("warmStart"));
  }

  @Test
  void measuredSearchKeepsWhatFitsAndSaysHowSureItIs() throws IOException {
    List<Path> runs = List.of(temporary.resolve("measured"), temporary.resolve("measured-again"));
    for (Path run : runs) {
      measuredSearch(run, "--objective=training-time,parameters,latency");
      Set<String> files = new java.util.HashSet<>(FILES);
      files.removeAll(Set.of("strategy.json", "rounds.json"));
      files.addAll(Set.of("measured.json", "supernet.safetensors", "config.yaml"));
      assertEquals(files, names(run));
    }
    assertArrayEquals(
        Files.readAllBytes(runs.get(0).resolve("measured.json")),
        Files.readAllBytes(runs.get(1).resolve("measured.json")));
    Map<String, Object> measured = RunDirectory.open(runs.get(0)).readJson("measured.json");
    assertEquals(modules(runs.get(0)), measured.get("kept"));
    assertEquals(12, ((List<?>) measured.get("values")).size());
    long parameters = ((Number) measured.get("parameters")).longValue();
    assertTrue(parameters <= outcome.retrained().supernetParameters() / 4, "" + parameters);
    String summary = Files.readString(runs.get(0).resolve("summary.md"));
    assertTrue(summary.contains("random subsets of the budget"), summary);
    List<?> front = (List<?>) measured.get("front");
    assertEquals(
        List.of("training-time", "parameters", "latency"),
        List.copyOf(((Map<?, ?>) ((Map<?, ?>) front.get(0)).get("costs")).keySet()));
    Path selected = temporary.resolve("selected");
    call(selected, "train", "--modules=" + runs.get(0), "--select=" + front.size()).exits(0);
    List<?> last = (List<?>) ((Map<?, ?>) front.get(front.size() - 1)).get("modules");
    assertEquals(last, modules(selected));
    assertTrue(summary.matches("(?s).*\n\\| +" + front.size() + " \\| .*"), summary);
    Path none = temporary.resolve("not-selected");
    int beyond = front.size() + 1;
    call(none, "train", "--modules=" + runs.get(0), "--select=" + beyond)
        .exits(2)
        .says("has rows 1 to %d, got %d".formatted(front.size(), beyond));
    call(none, "train", "--modules=" + first, "--select=1")
        .exits(2)
        .says("no front of configurations");
    call(none, "train", "--modules=head", "--select=1")
        .exits(2)
        .says("--select is for --modules RUN");
    Call shown = Call.of("strategy", "show", runs.get(0).toString());
    shown.exits(2);
    assertTrue(shown.err().contains("train --modules"), shown.err());
  }

  private static void assertSameFiles(Path expected, Path actual, String... names)
      throws IOException {
    for (String name : names) {
      assertArrayEquals(
          Files.readAllBytes(expected.resolve(name)),
          Files.readAllBytes(actual.resolve(name)),
          name);
    }
  }

  @Test
  void smallerBudgetsTakeTheSupernetOfTheLargest() throws IOException {
    Path alone = temporary.resolve("one-budget");
    measuredSearch(alone);
    Path both = temporary.resolve("two-budgets");
    measuredSearch(both, "--keep=0.5,0.25");
    Path smaller = both.resolve("keep-0.25");
    assertSameFiles(
        alone,
        smaller,
        "supernet.safetensors",
        "measured.json",
        "adapter.safetensors",
        "head.safetensors",
        "predictions.jsonl");
    Map<?, ?> search = (Map<?, ?>) RunDirectory.open(smaller).readJson("config.json").get("search");
    assertEquals(
        both.resolve("keep-0.5").toString(), ((Map<?, ?>) search.get("measured")).get("supernet"));
    // A supernet is trained once: of its steps only the largest budget's metrics tell.
    for (String budget : List.of("keep-0.5", "keep-0.25")) {
      String metrics = Files.readString(both.resolve(budget).resolve("metrics.jsonl"));
      assertEquals(budget.equals("keep-0.5"), metrics.contains("supernet, "), budget);
    }
    Path other = temporary.resolve("other-objective");
    measuredSearch(other, "--objective=latency");
    Path taken = temporary.resolve("other-objective-taken");
    call(
            taken,
            "search",
            "--strategy=measured",
            "--keep=0.25",
            "--supernet=" + alone,
            "--measured-examples=32",
            "--subsets=24",
            "--objective=latency")
        .exits(0)
        .says("the supernet is that of " + alone);
    assertSameFiles(other, taken, "measured.json", "adapter.safetensors", "head.safetensors");
  }

  @Test
  void warmStartTrainsWhatTheSearchWouldHave() throws IOException {
    Path run = temporary.resolve("warm");
    measuredSearch(run, "--epochs=3", "--module-slices=2");
    Path again = temporary.resolve("warm-again");
    call(again, "train", "--modules=" + run, "--warm-start", "--epochs=3").exits(0);
    assertEquals(2, RunDirectory.open(again).readJson("result.json").get("epochs"));
    assertSameFiles(run, again, "adapter.safetensors", "head.safetensors", "predictions.jsonl");
    List<?> front = (List<?>) RunDirectory.open(run).readJson("measured.json").get("front");
    Path row = temporary.resolve("warm-row");
    call(row, "train", "--modules=" + run, "--select=" + front.size(), "--warm-start").exits(0);
    List<?> slices = (List<?>) ((Map<?, ?>) front.get(front.size() - 1)).get("modules");
    assertEquals(
        slices.stream()
            .map(slice -> slice.toString().replaceFirst("\\.slice-\\d$", ""))
            .distinct()
            .toList(),
        modules(row));

    Path none = temporary.resolve("warm-none");
    call(none, "train", "--modules=" + first, "--warm-start").exits(2).says("no front");
    call(none, "train", "--modules=lora", "--warm-start").exits(2).says("is for --modules RUN");
    call(none, "train", "--modules=" + run, "--warm-start", "--map-layers")
        .exits(2)
        .says("has no effect with --warm-start");
    call(none, "search", "--strategy=measured", "--supernet=" + run, "--supernet-epochs=1")
        .exits(2)
        .says("has no effect with --supernet");
    call(none, "search", "--strategy=measured", "--supernet=" + first)
        .exits(2)
        .says("has no supernet.safetensors");
    assertFalse(Files.exists(none));
    call(
            temporary.resolve("warm-other-seed"),
            "train",
            "--modules=" + run,
            "--warm-start",
            "--seed=5")
        .exits(2)
        .says("has setup {seed=0} and now it would be {seed=5}")
        .says("the same model, modules, data, sizes and seed");
  }

  @Test
  void measuredSlicesMakeModulesSmaller() throws IOException {
    Path run = temporary.resolve("sliced");
    call(
            run,
            "search",
            "--strategy=measured",
            "--module-slices=4",
            "--keep=0.25",
            "--supernet-examples=32",
            "--supernet-epochs=1",
            "--measured-examples=32",
            "--subsets=24")
        .exits(0);
    Map<String, Object> measured = RunDirectory.open(run).readJson("measured.json");
    assertEquals(48, ((List<?>) measured.get("values")).size());
    Map<String, Object> chosen = RunDirectory.open(run).readJson("configuration.json");
    long parameters = ((Number) chosen.get("trainable_parameters")).longValue();
    assertTrue(parameters <= outcome.retrained().supernetParameters() / 4, "" + parameters);
    Set<?> modules =
        ((List<?>) measured.get("kept"))
            .stream()
                .map(slice -> slice.toString().replaceFirst("\\.slice-\\d$", ""))
                .collect(java.util.stream.Collectors.toSet());
    assertEquals(modules, Set.copyOf(modules(run)));
    Map<?, ?> tested = (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get("test");
    try (TrainedModel model = TrainedModel.load(run)) {
      assertEquals(tested.get("loss"), model.evaluate(model.dataset().test()).loss());
    }
    Path again = temporary.resolve("sliced-again");
    call(again, "train", "--modules=" + run).exits(0);
    Map<String, Object> trained = RunDirectory.open(again).readJson("configuration.json");
    Path third = temporary.resolve("sliced-third");
    call(third, "train", "--modules=" + again).exits(0);
    for (String member : List.of("lora", "adapter", "modules")) {
      assertEquals(chosen.get(member), trained.get(member));
      assertEquals(
          chosen.get(member), RunDirectory.open(third).readJson("configuration.json").get(member));
    }
    for (Path each : List.of(run, again, third)) {
      assertEquals(
          (int) outcome.retrained().supernetParameters(),
          RunDirectory.open(each).readJson("result.json").get("supernet_parameters"));
    }
    call(temporary.resolve("sliced-start"), "search", "--modules=" + run)
        .exits(2)
        .says("a search begins with whole modules");
    List<?> front = (List<?>) measured.get("front");
    // Of the smallest that keeps something, all sizes are those of the row.
    int row = 1;
    while (((List<?>) ((Map<?, ?>) front.get(row - 1)).get("modules")).isEmpty()) {
      row++;
    }
    Map<?, ?> point = (Map<?, ?>) front.get(row - 1);
    Path selected = temporary.resolve("sliced-selected");
    call(selected, "train", "--modules=" + run, "--select=" + row).exits(0);
    Map<String, Object> smallest = RunDirectory.open(selected).readJson("configuration.json");
    double most = ((Number) ((Map<?, ?>) point.get("costs")).get("parameters")).doubleValue();
    double has = ((Number) smallest.get("trainable_parameters")).doubleValue();
    assertTrue(has > 0.9 * most && has <= most, has + " of " + most);
    call(
            temporary.resolve("sliced-beyond"),
            "train",
            "--modules=" + run,
            "--select=" + (front.size() + 1))
        .exits(2)
        .says(String.format(Locale.ROOT, "%4d: %d modules, ", row, modules(selected).size()));
    Path page = temporary.resolve("sliced.html");
    Call.of("report", run.toString(), "-o", page.toString()).exits(0);
    assertTrue(Files.readString(page).contains("\"column\":\"lora.slice-0\""), "slices are places");
    Path onnx = temporary.resolve("sliced-onnx");
    Call.of("export", "--format=onnx", run.toString(), "-o", onnx.toString()).exits(0);
    Call.of("explain", run.toString(), "0.lora.slice-0").exits(0);
  }

  @Test
  void optionsOfTheOtherWayOfSearchingAreRefused() {
    Path run = temporary.resolve("idle");
    for (String[] options :
        List.of(
            new String[] {"--strategy=measured", "--rounds=2"},
            new String[] {"--strategy=all", "--tolerance=1"})) {
      Call call = call(run, "search", options);
      call.exits(2);
      assertTrue(call.err().contains("--strategy measured"), call.err());
      assertTrue(call.err().contains(options[1].split("=")[0]), call.err());
      assertFalse(Files.exists(run));
    }
  }

  @Test
  void objectiveThatDoesNotExistIsRefused() throws IOException {
    Path run = temporary.resolve("no-objective");
    Call call = call(run, "search", "--strategy=measured", "--objective=latencies");
    call.exits(2);
    assertTrue(call.err().contains("latencies") && call.err().contains("latency"), call.err());
    assertFalse(Files.exists(run));
  }

  @Test
  void configurationFileOfARunRunsItAgainWithTheSameResult() throws IOException {
    Path once = temporary.resolve("once");
    call(
            once,
            "search",
            "--warm-up-turns=1",
            "--warm-up-examples=16",
            "--round-examples=32",
            "--report-to=tensorboard")
        .exits(0);
    assertTensorBoardHasItsTrainings(once);
    Path twice = temporary.resolve("twice");
    Call.of("search", "--config", once.resolve("config.yaml").toString(), "-o", twice.toString())
        .exits(0);
    for (String name : List.of("config.yaml", "strategy.json", "rounds.json", "metrics.jsonl")) {
      assertEquals(
          Files.readString(once.resolve(name)), Files.readString(twice.resolve(name)), name);
    }
    for (String name : List.of("adapter.safetensors", "head.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(once.resolve(name)), Files.readAllBytes(twice.resolve(name)), name);
    }
    assertEquals(result(once), result(twice));
    Map<?, ?> setup = (Map<?, ?>) RunDirectory.open(twice).readJson("config.json").get("setup");
    assertEquals(twice.toString(), setup.get("output"));
  }

  private static void assertTensorBoardHasItsTrainings(Path run) throws IOException {
    String events;
    try (var files = Files.list(run)) {
      Path file = files.filter(path -> path.toString().contains("tfevents")).findFirst().get();
      events = Files.readString(file, StandardCharsets.ISO_8859_1);
    }
    int all = 0;
    for (Map.Entry<String, List<Integer>> training : steps(run).entrySet()) {
      String tag = training.getKey() + "/loss";
      assertEquals(
          training.getValue().size(), events.split(Pattern.quote(tag), -1).length - 1, tag);
      all += training.getValue().size();
    }
    assertEquals(all, events.split("/loss", -1).length - 1);
  }

  @Test
  void configurationOfARunIsTrainedAgain() throws IOException {
    Path trained = temporary.resolve("trained");
    call(trained, "train", "--modules=" + first).exits(0);
    assertEquals(
        Set.of(
            "config.json",
            "config.yaml",
            "configuration.json",
            "metrics.jsonl",
            "result.json",
            "adapter.safetensors",
            "head.safetensors",
            "predictions.jsonl",
            "summary.md"),
        names(trained));
    assertEquals(kept(), modules(trained));
  }

  @Test
  void evaluationOfALoadedRunIsTheRunsOwnResult() {
    try (TrainedModel model = TrainedModel.load(first)) {
      Evaluation again = model.evaluate(model.dataset().test());
      Evaluation then = outcome.retrained().test();
      assertEquals(then.loss(), again.loss());
      assertEquals(then.metrics(), again.metrics());
      assertArrayEquals(then.predictions().labels(), again.predictions().labels());
      assertEquals(
          outcome.retrained().validation().loss(),
          model.evaluate(model.dataset().validation()).loss());
    }
    Map<?, ?> test = (Map<?, ?>) RunDirectory.open(first).readJson("result.json").get("test");
    Call call = Call.of("evaluate", first.toString()).exits(0);
    String said =
        String.format(
            Locale.ROOT,
            "test of wordnet, 32 examples\ntest accuracy %.2f %%, macro F1 %.2f %%, loss %.4f\n\n| class ",
            100 * (double) test.get("accuracy"),
            100 * (double) test.get("macro_f1"),
            (double) test.get("loss"));
    assertTrue(call.out().startsWith(said), call.out());
  }

  @Test
  void probabilitiesOfALoadedRunGiveItsLoss() {
    try (TrainedModel model = TrainedModel.load(first)) {
      List<Example> examples = model.dataset().test();
      Predictions predictions = model.predict(examples);
      double loss = 0;
      for (int i = 0; i < examples.size(); i++) {
        double[] probabilities = predictions.probabilities(i);
        loss -= Math.log(probabilities[examples.get(i).label()]) / examples.size();
      }
      assertEquals(outcome.retrained().test().loss(), loss, 1e-5);
    }
  }

  @Test
  void predictWritesALineForEachText() throws IOException {
    List<Example> test;
    int[] predictions;
    List<String> labels;
    try (TrainedModel model = TrainedModel.load(first)) {
      test = model.dataset().test();
      labels = model.schema().labels();
      predictions = model.evaluate(test).predictions().labels();
    }
    Path texts = temporary.resolve("texts.txt");
    Files.write(texts, test.stream().map(Example::text).toList());

    List<String> lines =
        Call.of("predict", first, texts, "--proba").exits(0).out().lines().toList();
    assertEquals("label\tscore\t" + String.join("\t", labels) + "\ttext", lines.get(0));
    assertEquals(test.size() + 1, lines.size());
    Path objects = temporary.resolve("labels.jsonl");
    Call call = Call.of("predict", first, texts, "--proba", "-o", objects).exits(0);
    assertEquals("wrote %s: %d predictions\n".formatted(objects, predictions.length), call.out());
    Call standard = Call.of("predict", first, texts, "--proba", "-o", "-").exits(0);
    assertEquals(String.join("\n", lines) + "\n", standard.out());
    List<String> written = Files.readAllLines(objects);
    assertEquals(test.size(), written.size());
    for (int i = 0; i < test.size(); i++) {
      String[] cells = lines.get(i + 1).split("\t");
      assertEquals(labels.get(predictions[i]), cells[0]);
      assertEquals(cells[1], cells[2 + predictions[i]]);
      Map<?, ?> object = new JsonMapper().readValue(written.get(i), Map.class);
      assertEquals(cells[0], object.get("label"));
      assertEquals(test.get(i).text(), object.get("text"));
      Map<?, ?> shares = (Map<?, ?>) object.get("probabilities");
      assertEquals(List.copyOf(labels), List.copyOf(shares.keySet()));
      assertEquals(object.get("score"), shares.get(cells[0]));
      assertEquals((double) object.get("score"), Double.parseDouble(cells[1]), 1e-6);
      assertEquals(1, shares.values().stream().mapToDouble(share -> (double) share).sum(), 1e-12);
    }
  }

  @Test
  void predictNamesWhatItCannotReadAndWritesNothing() throws IOException {
    Path output = temporary.resolve("none.tsv");
    Path absent = temporary.resolve("absent.txt");
    Call call =
        Call.of("predict", first.toString(), absent.toString(), "-o", output.toString()).exits(1);
    assertEquals("prunepeft: can't read %s: it does not exist\n".formatted(absent), call.err());
    Path latin = temporary.resolve("latin.txt");
    Files.write(latin, "fine\ncaf\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));
    call = Call.of("predict", first.toString(), latin.toString(), "-o", output.toString()).exits(1);
    assertTrue(call.err().contains(latin + ", line 2: the text is not UTF-8"), call.err());
    assertFalse(Files.exists(output));
    assertTrue(names(temporary).stream().noneMatch(name -> name.endsWith(".partial")));
  }

  @Test
  void weightsThatDoNotFitTheConfigurationAreRefused() throws IOException {
    Path damaged = copy(first, "damaged");
    Path adapter = damaged.resolve("adapter.safetensors");
    Files.copy(first.resolve("head.safetensors"), adapter, StandardCopyOption.REPLACE_EXISTING);
    Call.of("seal", damaged).exits(0);
    Call call = Call.of("evaluate", damaged.toString()).exits(1);
    assertTrue(call.err().contains(adapter + " does not fit the configuration"), call.err());
    assertTrue(call.err().contains("classifier.weight"), call.err());
    byte[] whole = Files.readAllBytes(first.resolve("adapter.safetensors"));
    Files.write(adapter, Arrays.copyOf(whole, whole.length / 2));
    Call.of("seal", damaged).exits(0);
    call = Call.of("evaluate", damaged.toString()).exits(1);
    assertTrue(call.err().contains(adapter.toString()), call.err());
  }

  private static Path copy(Path run, String name) throws IOException {
    Path target = Files.createDirectory(temporary.resolve(name));
    for (String file : names(run)) {
      Files.copy(run.resolve(file), target.resolve(file));
    }
    return target;
  }

  private static Call call(Path output, String command, String... options) {
    List<String> arguments = new ArrayList<>(List.of(command, "--output=" + output));
    arguments.addAll(List.of(options));
    List<String> named = Stream.of(options).map(option -> option.split("=")[0]).toList();
    Stream.of(SMALL)
        .filter(option -> !named.contains(option.split("=")[0]))
        .forEach(arguments::add);
    return Call.of(arguments.toArray(String[]::new));
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

  /** result.json without times and memory, and checksums of files that hold such times. */
  private static Map<String, Object> result(Path run) {
    Map<String, Object> result = RunDirectory.open(run).readJson("result.json");
    result.keySet().removeIf(key -> key.matches(".*_(seconds|ratio|bytes)"));
    result.keySet().removeAll(Set.of("files", "sha256", "memory"));
    return result;
  }

  private static Set<String> names(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
    }
  }
}
