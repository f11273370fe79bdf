package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.FixedSeed;

/** The searches that PrunePEFT is compared with, on tiny models. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class PeersTest {
  @TempDir static Path temporary;
  private static Path encoder;
  private static Path decoder;
  private static Path texts;
  private static Path pairs;

  @BeforeAll
  static void write() throws IOException {
    encoder = Small.model(temporary);
    decoder = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    texts = temporary.resolve("texts.tsv");
    Files.write(
        texts,
        IntStream.range(-1, 160)
            .mapToObj(
                i ->
                    i < 0 ? "text\tlabel" : "the thing %d\t%s".formatted(i, i % 3 == 0 ? "a" : "b"))
            .toList());
    pairs = LetterPairs.write(temporary, 80);
  }

  private static Call search(String method, Path output, Object... more) {
    return Call.of(
        "search",
        "--model=" + encoder,
        "--train-file=" + texts,
        Small.modules(),
        "--strategy=" + method,
        "--search-examples=32",
        "--keep=0.5",
        "--output=" + output,
        more);
  }

  private static JsonNode json(Path file) throws IOException {
    return new JsonMapper().readTree(file.toFile());
  }

  private static List<String> train(String option) {
    return List.of(
        "train",
        "--model=" + encoder,
        "--train-file=" + texts,
        "--epochs=1",
        "--max-seq-length=24",
        "--threads=2",
        option);
  }

  /** What is said of a module that went or stayed by its score. */
  private static String cut(JsonNode peer, JsonNode module) {
    boolean stays = module.get("kept").booleanValue();
    DoubleSummaryStatistics others =
        StreamSupport.stream(peer.get("modules").spliterator(), false)
            .filter(each -> each.get("kept").booleanValue() != stays)
            .mapToDouble(each -> each.get("score").doubleValue())
            .summaryStatistics();
    double score = module.get("score").doubleValue();
    return stays && score <= others.getMax() || !stays && score >= others.getMin()
        ? "The score alone did not decide: what is kept has to fit the budget."
        : "What would have had to differ, with the other modules as they were: its score, "
            + (stays ? "below" : "above");
  }

  @ParameterizedTest
  @CsvSource({
    "gates, --search-epochs=2, 1, 2, the probability that the module's gate is open",
    "first-order, --search-epochs=2, 1, 2, the first-order change of the loss",
    "bayesian, --trials=3, 3, 3, the metric is expected to rise"
  })
  void aSearchKeepsWhatFitsAndSaysWhy(
      String method, String option, int trainings, int epochs, String meaning) throws IOException {
    Path run = temporary.resolve(method);
    search(method, run, option)
        .exits(0)
        .prints(
            "## Search: " + method,
            "trainings: %d; epochs: %d, of 32 examples".formatted(trainings, epochs));
    JsonNode peer = json(run.resolve("peer.json"));
    assertEquals(method, peer.get("method").textValue());
    assertEquals(trainings, peer.at("/effort/trainings").intValue());
    assertEquals(epochs, peer.at("/effort/epochs").intValue());
    assertEquals(32, peer.at("/effort/examples").intValue());
    Candidate[] kept =
        RunDirectory.open(run).readJson("configuration.json", "modules", Candidate[].class);
    assertTrue(Candidate.total(List.of(kept)) <= peer.get("budget").longValue());
    assertTrue(kept.length > 0 && kept.length < peer.get("modules").size());
    assertTrue(json(run.resolve("result.json")).get("round_seconds").doubleValue() > 0);
    for (JsonNode module : peer.get("modules")) {
      String name = module.at("/module/name").textValue();
      boolean stays = module.get("kept").booleanValue();
      Call.of("explain", run, name)
          .exits(0)
          .prints(
              "# %s: %s".formatted(name, stays ? "kept" : "not kept"),
              meaning,
              method.equals("bayesian")
                  ? "What would have had to differ: a trial %s it that gives more than "
                      .formatted(stays ? "without" : "with")
                  : cut(peer, module));
    }
    JsonNode report =
        new JsonMapper().readTree(Call.of("report", run, "--format=json").exits(0).out());
    assertEquals(method, report.at("/runs/0/peer/method").textValue());
    assertEquals(peer.get("modules").size(), report.at("/runs/0/grid").size());
    Path again = temporary.resolve(method + "-again");
    search(method, again, option).exits(0);
    Results.assertSame(Results.of(run), again);
    Call.of(train("--modules=" + run), "--output=" + temporary.resolve(method + "-trained"))
        .exits(0);
    Call.of("search", "--strategy=" + run).exits(2, "which has no strategy");
  }

  @Test
  void gatesAreTrainedInLayersThatAreComputedAgain() throws IOException {
    Path kept = temporary.resolve("gates-kept");
    search("gates", kept).exits(0);
    Path again = temporary.resolve("gates-computed-again");
    search("gates", again, "--gradient-checkpointing").exits(0);
    JsonNode modules = json(kept.resolve("peer.json")).get("modules");
    assertTrue(new HashSet<>(modules.findValues("score")).size() > 1, modules.toString());
    assertEquals(modules, json(again.resolve("peer.json")).get("modules"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"gates", "first-order", "bayesian"})
  void aSearchTakesADecoder(String method) throws IOException {
    Path run = temporary.resolve("decoder-" + method);
    Call.of(
            "search",
            "--model=" + decoder,
            "--train-file=" + pairs,
            "--epochs=1",
            "--batch-size=2",
            "--max-seq-length=24",
            "--lora-r=2",
            "--adapter-size=2",
            "--threads=2",
            "--strategy=" + method,
            "--search-examples=12",
            method.equals("bayesian") ? "--trials=2" : "--search-epochs=1",
            "--output=" + run)
        .exits(0);
    assertTrue(json(run.resolve("peer.json")).get("modules").size() > 1);
  }

  @Test
  void aTrialThatDivergedIsSaidAndKept() throws IOException {
    Path run = temporary.resolve("diverged");
    search("bayesian", run, "--trials=1", "--learning-rate=1e30", "--warmup-ratio=0")
        .exits(
            1, "trial 1, ", " modules diverged, and counts as the head alone: the ", " at step ");
    JsonNode trial = json(run.resolve("peer.json")).at("/trials/0");
    assertTrue(trial.get("diverged").textValue().contains(" at step "), trial.toString());
  }

  /** Trials that end early are different in number. */
  @ParameterizedTest
  @CsvSource({"gates, --search-epochs=1", "bayesian, --trial-patience=1"})
  void runsOfSeveralSeedsSearchTogether(String method, String option) {
    Path runs = temporary.resolve("together-" + method);
    search(method, runs, option, "--seeds=1,2", "--together").exits(0);
    for (String seed : List.of("seed-1", "seed-2")) {
      assertTrue(Files.exists(runs.resolve(seed).resolve("peer.json")), seed);
    }
  }

  @Test
  void optionsOfAnotherWayToSearchAreRefused() {
    Path run = temporary.resolve("refused");
    search("gates", run, "--rounds=2").exits(2, "--rounds has no effect with --strategy gates");
    search("authors", run).exits(2, "--search-examples is for --strategy gates, first-order");
    search("bayesian", run, "--trials=0").exits(2, "trials must be at least 1, got 0");
    search("gates", run, "--gate-learning-rate=0")
        .exits(2, "the gates' learning rate must be above 0");
    search("bayesian", run, "--subsets=30").exits(2, "--subsets is for --strategy measured");
    assertFalse(Files.exists(run));
  }

  @Test
  void anUnknownStrategyIsAnsweredByTheNamesOfAll() {
    Call.of("search", "--model=" + encoder, "--train-file=" + texts, "--strategy=gate")
        .exits(
            2,
            "unknown strategy 'gate'; did you mean gates? Known are warm-up, authors, all, weight",
            "measured, gates, first-order, bayesian, or the path of a run or of a strategy file");
  }

  @Test
  void loraOnAllLinearLayersHasTheParametersOfTheBudget() throws IOException {
    Path run = temporary.resolve("all-linear");
    List<String> common = new ArrayList<>(train("--adapter-size=2"));
    common.add("--lora-r=8");
    Path supernet = temporary.resolve("supernet");
    Call.of(common, "--modules=supernet", "--output=" + supernet).exits(0);
    Call.of(common, "--modules=all-linear", "--keep=0.9", "--output=" + run).exits(0);
    long whole = json(supernet.resolve("result.json")).get("trainable_parameters").longValue();
    long own = json(run.resolve("result.json")).get("trainable_parameters").longValue();
    assertEquals(whole, json(run.resolve("result.json")).get("supernet_parameters").longValue());
    JsonNode lora = json(run.resolve("configuration.json")).get("lora");
    int rank = lora.get("rank").intValue();
    assertTrue(own <= 0.9 * whole && own + own / rank > 0.9 * whole, own + " of " + whole);
    assertEquals(6, lora.get("targets").size());
    assertTrue(json(run.resolve("configuration.json")).get("adapter").isNull());
    Map<?, ?> tested = Small.test(run);
    Call.of("evaluate", run).exits(0);
    Path again = temporary.resolve("all-linear-again");
    Call.of(train("--modules=" + run), "--output=" + again).exits(0);
    assertEquals(tested.get("examples"), Small.test(again).get("examples"));
    Call.of(common, "--modules=all-linear", "--budget=10", "--output=" + run + "-no")
        .exits(2, "LoRA of rank 1 on all linear layers has", "more than the budget of 10");
  }
}
