package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Yaml;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.EndedProcess;
import org.prunepeft.testing.FixedSeed;

/** Studies of a tiny model, whose runs are processes of seconds. */
@FixedSeed("the weights are a prop; java/kill-and-resume draws the moments")
@Timeout(3600)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class StudyTest {
  private static final int KILLS = Kills.count(3);
  private static final List<String> SAME = List.of("study.md", "study.csv", "study.json");

  @TempDir static Path shared;
  private static Path model;
  private static Path data;

  /** What the study gives that nothing cuts off. */
  private static Path whole;

  private static long millis;

  @BeforeAll
  static void make() throws Exception {
    model = Small.model(shared);
    data = shared.resolve("texts.tsv");
    Files.write(
        data,
        IntStream.range(-1, 90)
            .mapToObj(i -> i < 0 ? "text\tlabel" : "the thing %d\t%d".formatted(i, i % 3))
            .toList());
    whole = shared.resolve("whole");
    long begun = System.nanoTime();
    Call done = study(file(whole, ""), "--watch");
    millis = (System.nanoTime() - begun) / 1_000_000;
    assertEquals(0, done.exit(), done.out());
    done.says("watch it at " + whole.resolve(PageWatch.PAGE).toUri());
  }

  /** The name of the file is that of the study, which its tables have. */
  private static Path file(Path output, String more) throws IOException {
    Files.createDirectories(output.resolveSibling(output.getFileName() + "-file"));
    return Files.writeString(
        output.resolveSibling(output.getFileName() + "-file").resolve("tiny.yaml"),
        """
        output: %s
        models: {tiny: %s}
        tasks: {words: {train_file: %s}}
        methods:
          random: {command: train, modules: random}
          supernet: {command: train, modules: supernet, learning_rate: {candidates: [1e-3, 1e-2]}}
          search: {command: search, strategy: weight, rounds: 1, round_examples: 16}
          again: {command: train, modules: {method: search}, learning_rate: default}
        budgets: [0.5]
        seeds: [0, 1]
        learning_rate: 2e-3
        jobs: 2
        options: {epochs: 2, train_examples: 32, validation_examples: 16, test_examples: 16, max_seq_length: 24,
          lora_r: 2, adapter_size: 2, batch_size: 4, checkpoint_steps: 2}
        %s
        """
            .formatted(output, model, data, more));
  }

  private static Call study(Path file, String... options) throws Exception {
    List<String> words = new ArrayList<>(List.of("study", file.toString()));
    words.addAll(List.of(options));
    Path said = Files.createTempFile(shared, "said", ".txt");
    Process process = Child.start(words, said);
    Child.awaitEnd(process, said);
    return new Call(process.exitValue(), Child.text(said), Child.text(said));
  }

  private static void assertSame(Path output) throws IOException {
    for (String name : SAME) {
      assertEquals(
          Files.readString(whole.resolve(name)), Files.readString(output.resolve(name)), name);
    }
  }

  @Test
  @Order(1)
  void tablesHaveEveryMethodAndWhatItCost() throws IOException {
    String tables = Files.readString(whole.resolve("study.md"));
    assertTrue(
        tables.startsWith("# Study tiny\n\n8 of 8 runs: tasks words; models tiny; seeds 0, 1."));
    for (String method : List.of("random", "supernet", "search", "again")) {
      assertTrue(tables.contains("| " + method), tables);
    }
    JsonNode study = new JsonMapper().readTree(whole.resolve("study.json").toFile());
    JsonNode rate = study.get("learning_rates").get(0);
    assertEquals("supernet", rate.get("method").asText());
    assertEquals(2, rate.get("tried").size());
    // What was chosen is what was run.
    String command = Files.readString(whole.resolve("commands/words_tiny_supernet_seed-1.txt"));
    assertTrue(
        command.contains("--learning-rate=" + rate.get("learning_rate").asText() + " "), command);
    List<String> runs = Files.readAllLines(whole.resolve("study.csv"));
    assertEquals(9, runs.size());
    assertTrue(runs.get(1).startsWith("words,tiny,random,0.5,0,0,0.002,accuracy,"), runs.get(1));
    List<String> costs = Files.readAllLines(whole.resolve("costs.csv"));
    assertEquals(9, costs.size());
    assertTrue(
        costs.stream().anyMatch(line -> line.matches("words,tiny,search,0.5,0,0,1,[0-9.E-]+,.*")),
        costs.toString());
    // The run that takes the search's modules has as many parameters.
    assertEquals(parameters(study, "search"), parameters(study, "again"));
  }

  private static double parameters(JsonNode study, String method) {
    for (JsonNode row : study.get("tables").get(0).get("rows")) {
      if (row.get("method").asText().equals(method)) {
        return row.get("parameters").asDouble();
      }
    }
    throw new AssertionError(method);
  }

  @Test
  @Order(2)
  void aStudyThatIsKilledAgainAndAgainEndsWithTheSameTables() throws Exception {
    Random random = new Random(Kills.seed("study"));
    int kills = 0;
    int studies = 0;
    while (kills < KILLS) {
      Path output = shared.resolve("killed-" + studies++);
      Path file = file(output, "");
      Path said = shared.resolve("killed.txt");
      boolean killed = true;
      while (killed && kills < KILLS) {
        Process process = Child.start(List.of("study", file.toString()), said);
        process.waitFor(random.nextLong(millis / 2), TimeUnit.MILLISECONDS);
        List<ProcessHandle> children = process.descendants().toList();
        process.destroyForcibly().waitFor();
        killed = process.exitValue() == 137;
        if (killed) {
          if (kills++ % 2 == 1) {
            children.forEach(ProcessHandle::destroyForcibly);
          }
        } else {
          assertEquals(0, process.exitValue(), Child.text(said));
        }
      }
      Call done = study(file);
      assertEquals(0, done.exit(), done.out());
      assertSame(output);
    }
    System.out.printf("study: %d kills, over %d studies: the same tables%n", kills, studies);
  }

  @Test
  @Order(3)
  void completeRunsAreNotMadeAgainAndOthersAre() throws Exception {
    Path run = whole.resolve("runs/words_tiny_random_0.5_seed-1");
    Path kept = whole.resolve("runs/words_tiny_random_0.5_seed-0/result.json");
    var before = Files.getLastModifiedTime(kept);
    // As from another command.
    Files.writeString(whole.resolve("commands/words_tiny_random_0.5_seed-1.txt"), "other\n");
    Path damaged = whole.resolve("runs/words_tiny_supernet_seed-1");
    Files.writeString(damaged.resolve("metrics.jsonl"), "\n", StandardOpenOption.APPEND);
    Call again = study(file(whole, ""));
    assertEquals(0, again.exit(), again.out());
    assertTrue(again.out().contains("was made by another command"), again.out());
    assertTrue(again.out().contains("8 of 10 runs are complete"), again.out());
    assertTrue(
        again.out().contains("metrics.jsonl is damaged or was changed: it has "), again.out());
    assertTrue(Files.exists(whole.resolve("earlier/words_tiny_supernet_seed-1-1/result.json")));
    assertEquals(before, Files.getLastModifiedTime(kept));
    assertTrue(Files.exists(run.resolve("result.json")));
    assertTrue(Files.exists(whole.resolve("earlier/words_tiny_random_0.5_seed-1-1/result.json")));
  }

  @Test
  @Order(4)
  void theCommandsOfAPlanMakeTheSameTables() throws Exception {
    Path output = shared.resolve("planned");
    Path file = file(output, "");
    Call.of("study", file, "--plan").exits(0).prints("stage 1: 6 runs", "stage 2: 4 runs");
    for (int stage = 1; stage <= 2; stage++) {
      Path plan = output.resolve("plan/1");
      List<String> lines = Files.readAllLines(plan.resolve("commands-" + stage + ".txt"));
      String slurm = Files.readString(plan.resolve("slurm-" + stage + ".sh"));
      assertTrue(slurm.contains("#SBATCH --array=1-" + lines.size() + "\n"), slurm);
      JsonNode job = Yaml.read(Files.readString(plan.resolve("kubernetes-" + stage + ".yaml")));
      assertEquals(lines.size(), job.get("spec").get("completions").asInt());
      String second = String.join(" ", words(lines.get(1)));
      assertEquals(
          second,
          shell(
              "SLURM_ARRAY_TASK_ID=2",
              List.of("bash", plan.resolve("slurm-" + stage + ".sh").toString())));
      List<String> container = new ArrayList<>();
      job.at("/spec/template/spec/containers/0/command")
          .forEach(word -> container.add(word.asText()));
      assertEquals(second, shell("JOB_COMPLETION_INDEX=1", container));
      // The last first: nothing may depend on the order within a stage.
      for (int i = lines.size() - 1; i >= 0; i--) {
        Path said = shared.resolve("planned.txt");
        Process process = Child.start(words(lines.get(i)), said);
        Child.awaitEnd(process, said);
        assertEquals(0, process.exitValue(), Child.text(said));
      }
      if (stage == 1) {
        Call.of("study", file, "--collect").exits(0, "4 runs are missing");
      }
    }
    Call.of("study", file, "--plan").exits(0).prints("no run is missing");
    Call.of("study", file, "--collect").exits(0);
    assertSame(output);
  }

  /** What a script gives to the program. */
  /** What a shell makes of a command, without its program. */
  private static List<String> words(String command) throws Exception {
    String program = "prunepeft() { printf '%s\\n' \"$@\"; }; " + command;
    return Child.call(new ProcessBuilder("bash", "-c", program)).exits(0).out().lines().toList();
  }

  static String shell(String setting, List<String> script) throws Exception {
    List<String> words = new ArrayList<>();
    words.addAll(
        List.of(
            "bash", "-c", "prunepeft() { echo \"$@\"; }; export -f prunepeft; env \"$@\"", "sh"));
    words.add(setting);
    words.addAll(script);
    return Child.call(new ProcessBuilder(words)).out().strip();
  }

  @Test
  @Order(5)
  void whatARunNeedsIsNamedAndSoIsARunThatIsNotThere() throws Exception {
    Path file = file(shared.resolve("needs"), "");
    Call.of("study", file, "--run", "words_tiny_agan_0.5_seed-0")
        .exits(2, "did you mean words_tiny_again_0.5_seed-0?");
    Call.of("study", file, "--run", "words_tiny_supernet_seed-0")
        .exits(1, "words_tiny_supernet_seed-0 needs words_tiny_supernet_rate-0.001_seed-1000");
  }

  @Test
  @Order(6)
  void runsThatFailAreListedAndTheOthersAreMade() throws Exception {
    Path output = shared.resolve("failing");
    Path file = file(output, "");
    String text = Files.readString(file);
    Files.writeString(
        file,
        text.replace("strategy: weight", "strategy: wieght")
            .replaceFirst("(?m)^  supernet.*\n", ""));
    Call failed = study(file);
    assertEquals(1, failed.exit(), failed.out());
    assertTrue(failed.out().contains("failed: words_tiny_search_0.5_seed-0: "), failed.out());
    assertTrue(failed.out().contains("weight"), failed.out());
    assertTrue(
        failed.out().contains("it needs words_tiny_search_0.5_seed-1, which failed"), failed.out());
    assertTrue(failed.out().contains("2 of 6 runs"), failed.out());
    assertFalse(Files.exists(output.resolve("runs/words_tiny_search_0.5_seed-0/result.json")));
    assertArrayEquals(
        new long[] {3, 3},
        new long[] {
          Files.readAllLines(output.resolve("study.csv")).size(),
          Files.readAllLines(output.resolve("costs.csv")).size()
        });
  }

  @Test
  @Order(7)
  void theReportOfAStudyHasItsTablesAndNoRunsThatChoseRates() throws IOException {
    Path page = shared.resolve("report.html");
    Call.of("report", whole, "-o", page).exits(0).prints("8 runs");
    String text = Files.readString(page);
    assertTrue(text.contains("\"studies\":[{"), "no study");
    assertFalse(text.contains("_rate-0.01"));
  }

  /** As it is after its last run. */
  @Test
  @Order(7)
  void aWatchedStudyLeavesItsPageWhichIsRenewedNoMore() throws IOException {
    String page = Files.readString(whole.resolve(PageWatch.PAGE));
    assertTrue(page.contains("\"missing\":[]"), "all runs are there");
    assertFalse(page.contains("http-equiv=\"refresh\""));
    Call.of("study", file(whole, ""), "--watch", "--collect")
        .exits(2, "--watch is for a study that is made here");
  }

  @Test
  @Order(8)
  void aBrowserDrawsTheStudyWithoutErrors() throws Exception {
    Browser browser = Browser.orSkip(shared);
    Path page = shared.resolve("drawn.html");
    Call.of("report", whole, "-o", page).exits(0);
    String dom = browser.dom(page);
    assertTrue(dom.contains("<h1>Study tiny</h1>"));
    assertTrue(dom.contains("words, tiny, budget 0.5: test accuracy against seconds of search"));
    assertTrue(dom.contains("What each method costs, budget 0.5: seconds"));
    assertTrue(dom.contains("words, tiny, budget 0.5: test accuracy against trainable parameters"));
    assertTrue(dom.contains("words, tiny, budget 0.5: difference to random"));
  }

  @Test
  @Order(9)
  void aStudyEndsWhereItsDataHasChangedSinceARunOfIt() throws Exception {
    Path output = shared.resolve("other-data");
    Path file = file(output, "");
    String text =
        Files.readString(file)
            .replace("jobs: 2", "jobs: 1")
            .replaceFirst("(?m)^  supernet.*\n", "")
            .replaceFirst("(?m)^  search.*\n", "")
            .replaceFirst("(?m)^  again.*\n", "");
    Files.writeString(file, text.replace("[0, 1]", "[0]"));
    Call made = study(file);
    assertEquals(0, made.exit(), made.out());
    Files.writeString(file, text.replace("[0, 1]", "[0, 1, 2]"));
    byte[] whole = Files.readAllBytes(data);
    Files.writeString(data, Files.readString(data).replace("\t2\n", "\t1\n"));
    Path runs = output.resolve("runs");
    Path unlike = runs.resolve("words_tiny_random_0.5_seed-1");
    try {
      Call refused = study(file);
      assertEquals(1, refused.exit(), refused.out());
      String reason =
          "%s and %s can't be compared, for the data changed between them: %s is not what"
              .formatted(runs.resolve("words_tiny_random_0.5_seed-0"), unlike, data);
      refused.says(reason);
      // A run by its name, before it is made and after it.
      Call.of("study", file, "--run=words_tiny_random_0.5_seed-2").exits(1, reason);
      assertFalse(RunDirectory.isComplete(runs.resolve("words_tiny_random_0.5_seed-2")));
      Directories.delete(unlike);
      Call one = study(file, "--run=words_tiny_random_0.5_seed-1");
      assertEquals(1, one.exit(), one.out());
      one.says(reason);
    } finally {
      Files.write(data, whole);
    }
    Directories.delete(unlike);
    Call again = study(file);
    assertEquals(0, again.exit(), again.out());
    assertTrue(again.out().contains("3 of 3 runs"), again.out());
  }

  /** A rate that no training bears. */
  @Test
  @Order(9)
  void aRateAtWhichTrainingDivergesIsNotTakenAndNotTriedAgain() throws Exception {
    Path output = shared.resolve("diverging");
    Path file = file(output, "");
    Files.writeString(
        file,
        Files.readString(file)
            .replace("candidates: [1e-3, 1e-2]", "candidates: [1e-3, 1e30]")
            .replaceFirst("(?m)^  random.*\n", "")
            .replaceFirst("(?m)^  search.*\n", "")
            .replaceFirst("(?m)^  again.*\n", ""));
    Call made = study(file);
    assertEquals(0, made.exit(), made.out());
    assertTrue(made.out().contains("_rate-1e30_seed-1000: training diverged"), made.out());
    Path diverged = output.resolve("tuning/words_tiny_supernet_rate-1e30_seed-1000/INCOMPLETE");
    String reason = Files.readString(diverged);
    assertTrue(reason.startsWith("failed: diverged: the "), reason);
    assertTrue(Files.readString(output.resolve("study.md")).contains("1e30: diverged"));
    assertTrue(
        Files.readString(output.resolve("commands/words_tiny_supernet_seed-0.txt"))
            .contains("--learning-rate=0.001 "));
    var before = Files.getLastModifiedTime(diverged);
    Call again = study(file);
    assertEquals(0, again.exit(), again.out());
    assertEquals(before, Files.getLastModifiedTime(diverged));
    assertFalse(Files.exists(output.resolve("earlier")));
  }

  /** A study of one run of many steps. */
  private static Path single(Path output) throws IOException {
    Path file = file(output, "");
    Files.writeString(
        file,
        Files.readString(file)
            .replaceFirst("(?m)^  random.*\n", "")
            .replaceFirst("(?m)^  search.*\n", "")
            .replaceFirst("(?m)^  again.*\n", "")
            .replace(", learning_rate: {candidates: [1e-3, 1e-2]}", "")
            .replace("seeds: [0, 1]", "seeds: [0]")
            .replace("epochs: 2,", "epochs: 40,"));
    return file;
  }

  /** Kills a study, with the process of its run, once that has checkpoints. */
  private static Path cutOff(Path output, Path file) throws Exception {
    Path run = output.resolve("runs/words_tiny_supernet_seed-0");
    File checkpoints = run.resolve("checkpoints").toFile();
    Path said = Files.createTempFile(shared, "cut", ".txt");
    while (true) {
      Process process = Child.start(List.of("study", file.toString()), said);
      while (process.isAlive() && numbers(checkpoints) < 2) {
        Thread.sleep(1);
      }
      List<ProcessHandle> children = process.descendants().toList();
      process.destroyForcibly().waitFor();
      for (ProcessHandle child : children) {
        child.destroyForcibly();
        EndedProcess.await(child, Child.LIMIT);
      }
      if (numbers(checkpoints) > 0) {
        return run;
      }
      // It was quicker, as on a fast machine.
      assertTrue(Files.exists(run.resolve("result.json")), Child.text(said));
      Directories.delete(output);
    }
  }

  private static int numbers(File checkpoints) {
    String[] names = checkpoints.list((directory, name) -> name.endsWith(".json"));
    return names == null ? 0 : names.length;
  }

  /** As where the disk is full: its last file can't be written. */
  @Test
  @Order(10)
  void aRunThatFailsAgainWhenItIsResumedIsLeftAndGoesOnLater() throws Exception {
    Path output = shared.resolve("failing-again");
    Path file = single(output);
    Path run = cutOff(output, file);
    Path inTheWay = Files.createDirectories(run.resolve("result.json/in the way"));
    Call failed = study(file);
    assertLeft(output, run, failed);
    assertTrue(failed.out().contains("failed after another checkpoint, and goes on"), failed.out());
    Files.delete(inTheWay);
    Files.delete(inTheWay.getParent());
    assertGoesOn(output, file);
  }

  @Test
  @Order(11)
  void aRunWhoseCheckpointsAreAllDamagedBeginsAnew() throws Exception {
    Path output = shared.resolve("lost");
    Path file = single(output);
    Path run = cutOff(output, file);
    for (String name : Small.names(run.resolve("checkpoints"))) {
      Files.writeString(run.resolve("checkpoints").resolve(name), "{}");
    }
    assertBeginsAnew(output, file, "can't go on (no checkpoint in ");
  }

  /** They are whole, and lack what this version keeps. */
  @Test
  @Order(12)
  void aRunWhoseCheckpointsAnotherVersionWroteBeginsAnew() throws Exception {
    Path output = shared.resolve("other-version");
    Path file = single(output);
    Path run = cutOff(output, file);
    for (String name : Small.names(run.resolve("checkpoints"))) {
      if (name.endsWith(".json")) {
        Path json = run.resolve("checkpoints").resolve(name);
        Map<String, Object> values = new LinkedHashMap<>(RunDirectory.parse(json));
        values.remove("sha256");
        ((Map<?, ?>) values.get("runs"))
            .values()
            .forEach(
                parts -> ((Map<?, ?>) parts).values().forEach(part -> ((Map<?, ?>) part).clear()));
        byte[] content = RunDirectory.format(name, values).getBytes(StandardCharsets.UTF_8);
        values.put(
            "sha256",
            HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content)));
        Files.writeString(json, RunDirectory.format(name, values));
      }
    }
    assertBeginsAnew(output, file, "another version of PrunePEFT wrote it");
  }

  /** As where a directory is not mounted. */
  @Test
  @Order(13)
  void aRunWhoseModelIsNotThereIsLeftAndGoesOnLater() throws Exception {
    Path output = shared.resolve("without-model");
    Path file = single(output);
    Path run = cutOff(output, file);
    Path away = Files.move(model, model.resolveSibling("away"));
    Call failed;
    try {
      failed = study(file);
    } finally {
      Files.move(away, model);
    }
    assertLeft(output, run, failed);
    assertGoesOn(output, file);
  }

  /** It tells the process of its run to end, which writes a checkpoint, and waits for it. */
  @Test
  @Order(14)
  void aStudyThatIsToldToEndSaysSoAndGoesOnToTheSameResults() throws Exception {
    Path uninterrupted = shared.resolve("uninterrupted");
    Call.of("study", single(uninterrupted)).exits(0);
    for (Signal signal : Signal.without(Signal.INT)) {
      Path output = shared.resolve("told-" + signal);
      Path file = single(output);
      Path run = output.resolve("runs/words_tiny_supernet_seed-0");
      Path said = Files.createTempFile(shared, "told", ".txt");
      while (true) {
        Process process = Child.start(List.of("study", file.toString()), said);
        while (process.isAlive() && numbers(run.resolve("checkpoints").toFile()) == 0) {
          Thread.sleep(1);
        }
        List<ProcessHandle> children = process.descendants().toList();
        signal.send(process);
        Child.awaitEnd(process, said);
        for (ProcessHandle child : children) {
          EndedProcess.await(child, Child.LIMIT);
        }
        if (Files.notExists(run.resolve("result.json"))) {
          assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
          break;
        }
        // It was quicker, as on a fast machine.
        Directories.delete(output);
      }
      assertEquals(
          "prunepeft: interrupted; the same command goes on with the study",
          Child.text(said).lines().reduce((a, b) -> b).orElse(""),
          Child.text(said));
      // On a busy machine its process may end before it has written that.
      assertTrue(
          Files.readString(run.resolve("INCOMPLETE")).matches("(?s)(interrupted|running since).*"),
          Child.text(said));
      assertGoesOn(output, file);
      Results.assertSame(Results.of(uninterrupted.resolve("runs/words_tiny_supernet_seed-0")), run);
    }
  }

  /** That a study ended with the error of a run, which is left as far as it came. */
  private static void assertLeft(Path output, Path run, Call failed) {
    assertEquals(1, failed.exit(), failed.out());
    assertTrue(
        failed.out().contains("; it is left in " + run + ", where the same command goes on"),
        failed.out());
    assertFalse(Files.exists(output.resolve("earlier")));
    assertTrue(numbers(run.resolve("checkpoints").toFile()) > 0);
  }

  /** That the same command ends a study whose run was left. */
  private static void assertGoesOn(Path output, Path file) throws Exception {
    Call done = study(file);
    assertEquals(0, done.exit(), done.out());
    assertFalse(Files.exists(output.resolve("earlier")));
  }

  private static void assertBeginsAnew(Path output, Path file, String why) throws Exception {
    Call done = study(file);
    assertEquals(0, done.exit(), done.out());
    assertTrue(done.out().contains(why), done.out());
    assertTrue(Files.exists(output.resolve("earlier/words_tiny_supernet_seed-0-1/checkpoints")));
  }
}
