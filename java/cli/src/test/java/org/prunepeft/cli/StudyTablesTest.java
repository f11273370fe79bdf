package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.cli.MadeStudy.Given;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.Yaml;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.Endless;
import picocli.CommandLine;

/** What a study says of runs that nobody had to train. */
class StudyTablesTest {
  private static final String TUNED =
      """
      tasks: [wordnet]
      methods:
        search: {command: search}
        supernet: {command: train, modules: supernet, learning_rate: 1e-3}
      budgets: [0.5]
      seeds: [0, 1]
      learning_rate: {candidates: [1e-3, 1e-1]%s}
      """;

  @TempDir Path temporary;

  private Path output;

  private Path file(String text) throws IOException {
    output = temporary.resolve("out");
    return Files.writeString(temporary.resolve("made.yaml"), "output: " + output + "\n" + text);
  }

  private Path classified(String text, Function<PlannedRun, Optional<Given>> given)
      throws IOException {
    Path file = file(text);
    MadeStudy.make(file, TaskKind.CLASSIFICATION, List.of(Metric.ACCURACY), given);
    return file;
  }

  private String tables() throws IOException {
    return Files.readString(output.resolve("study.md"));
  }

  private JsonNode json(String name) throws IOException {
    return new JsonMapper().readTree(output.resolve(name).toFile());
  }

  @Test
  void aRateIsShownInTheUnitOfTheMetricThatChoseIt() throws IOException {
    Path file = file(TUNED.formatted(", metric: log_likelihood"));
    MadeStudy.make(
        file,
        TaskKind.LANGUAGE_MODELING,
        List.of(Metric.ACCURACY, Metric.LOG_LIKELIHOOD),
        run ->
            Optional.of(
                new Given(
                    0.75,
                    Map.of(
                        "accuracy",
                        0.5,
                        "log_likelihood",
                        "0.1".equals(run.tried()) ? -1.25 : -2.5),
                    1000,
                    null)));
    Call.of("study", file, "--collect").exits(0);
    String line =
        tables().lines().filter(one -> one.contains("log-likelihood ")).findFirst().orElseThrow();
    assertTrue(line.contains("0.001: -2.5000, 0.1: -1.2500 "), line);
    assertTrue(tables().contains("75.00"), tables());
    assertEquals("log_likelihood", json("study.json").at("/learning_rates/0/metric").asText());
  }

  @Test
  void aCandidateThatDivergedLosesWhateverElseItWouldHaveGiven() throws IOException {
    Path file =
        classified(
            TUNED.formatted(""),
            run -> "0.1".equals(run.tried()) ? Optional.empty() : Optional.of(new Given(0.25)));
    Call.of("study", file, "--collect").exits(0);
    assertTrue(tables().startsWith("# Study made\n\n4 of 4 runs"), tables());
    assertTrue(tables().contains("0.001: 25.00, 0.1: diverged"), tables());
    JsonNode rate = json("study.json").at("/learning_rates/0");
    assertEquals("0.001", rate.get("learning_rate").asText());
    assertTrue(rate.at("/tried/0.1").isNull(), rate.toString());
    // Nothing is left to make, and nothing is tried again.
    Call.of("study", file, "--plan").exits(0).prints("no run is missing");
    Call.of("study", file).exits(0);
  }

  @Test
  void aMethodIsLeftOutWhereAllItsCandidatesDiverged() throws IOException {
    Path file =
        classified(
            TUNED.formatted(""),
            run -> run.tried() != null ? Optional.empty() : Optional.of(new Given(0.25)));
    Call study = Call.of("study", file);
    study.exits(
        1,
        "failed: wordnet_minilm_search_0.5_seed-0: its training diverged at all learning rates that were tried; name lower ones",
        "2 runs are missing");
    assertTrue(tables().startsWith("# Study made\n\n2 of 4 runs"), tables());
    Call.of("study", file, "--run", "wordnet_minilm_search_0.5_seed-0")
        .exits(1, "its training diverged at all learning rates that were tried");
    assertFalse(Files.exists(output.resolve("earlier")));
  }

  @Test
  void costsAreMeansOverRunsOfThoseThatHaveThem() throws IOException {
    Path file =
        classified(
            TUNED.formatted(""),
            run ->
                Optional.of(
                    new Given(
                        0.5,
                        Map.of("accuracy", 0.5),
                        1000,
                        run.method().name().equals("search") ? 25.0 + 50 * run.seed() : null)));
    Call.of("study", file, "--collect").exits(0);
    JsonNode rows = json("costs.json").at("/tables/0/rows");
    assertEquals("search", rows.at("/0/method").asText());
    assertEquals(50, rows.at("/0/search_seconds").asDouble());
    assertEquals(12.5, rows.at("/0/training_seconds").asDouble());
    assertEquals(4, rows.at("/0/ratio").asDouble());
    assertTrue(rows.at("/1/search_seconds").isNull(), rows.toString());
    assertTrue(rows.at("/1/peak_bytes").isNull(), rows.toString());
    assertTrue(rows.at("/1/gpu_peak_bytes").isNull(), rows.toString());
    String costs = Files.readString(output.resolve("costs.md"));
    assertTrue(costs.contains(" 50.0 ") && costs.contains(" 4.00 "), costs);
    assertFalse(costs.contains("GPU"), costs);
  }

  @Test
  void memoryIsTheMostOfARunsPhasesTheProcesssAndTheGpusApart() throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    for (int seed = 0; seed < 2; seed++) {
      Path result =
          output.resolve("runs/wordnet_minilm_supernet_seed-%d/result.json".formatted(seed));
      ObjectNode members = (ObjectNode) new JsonMapper().readTree(result.toFile());
      members.put("preparation_peak_bytes", 700L << 20).put("training_peak_bytes", 900L << 20);
      members.put("preparation_gpu_peak_bytes", 5000L << 20);
      members.put("training_gpu_peak_bytes", 4000L + 2000L * seed << 20);
      new JsonMapper().writeValue(result.toFile(), members);
    }
    Call.of("study", file, "--collect").exits(0);
    JsonNode rows = json("costs.json").at("/tables/0/rows");
    assertTrue(rows.at("/0/gpu_peak_bytes").isNull(), rows.toString());
    assertEquals(900L << 20, rows.at("/1/peak_bytes").asDouble());
    assertEquals(5500L << 20, rows.at("/1/gpu_peak_bytes").asDouble());
    String costs = Files.readString(output.resolve("costs.md"));
    assertTrue(costs.contains("| peak MiB | GPU peak MiB |"), costs);
    assertTrue(costs.contains("|      900 |         5500 |"), costs);
    List<String> runs = Files.readAllLines(output.resolve("costs.csv"));
    assertTrue(runs.get(0).endsWith(",peak_bytes,gpu_peak_bytes"), runs.get(0));
    assertTrue(runs.stream().anyMatch(run -> run.endsWith(",943718400,6291456000")), "" + runs);
  }

  /** Slurm takes no more than 1,000 unless a site says so. */
  @Test
  void anArrayOfManyRunsMakesAllOfThem() throws Exception {
    String seeds =
        IntStream.range(0, 501).mapToObj(String::valueOf).collect(Collectors.joining(", "));
    Path file =
        file(
            """
            tasks: [wordnet]
            methods:
              lora: {command: train, modules: lora}
              head: {command: train, modules: head}
            seeds: [%s]
            """
                .formatted(seeds));
    Call.of("study", file, "--plan").exits(0).prints("stage 1: 1002 runs");
    Path script = output.resolve("plan/1/slurm-1.sh");
    assertTrue(Files.readString(script).contains("#SBATCH --array=1-1000\n"));
    List<String> words = List.of("bash", script.toString());
    String run = "study %s --run wordnet_minilm_".formatted(file);
    assertEquals(
        run + "head_seed-0\n" + run + "head_seed-500",
        StudyTest.shell("SLURM_ARRAY_TASK_ID=2", words));
    assertEquals(run + "lora_seed-1", StudyTest.shell("SLURM_ARRAY_TASK_ID=3", words));
    String failing = Files.readString(script).replace("eval", "false && eval");
    assertEquals(
        1,
        Child.call(new ProcessBuilder("env", "SLURM_ARRAY_TASK_ID=3", "bash", "-c", failing))
            .exit());
  }

  /** Jobs that wait read their command when they begin. */
  @Test
  void aPlanLeavesThoseOfEarlierOnesAsTheyAre() throws Exception {
    Path file = file("tasks: [wordnet]\nmethods: {a: {command: train, modules: head}}\n");
    Path commands = output.resolve("plan/1/commands-1.txt");
    Call.of("study", file, "--plan").exits(0).prints("stage 1: 1 runs in " + commands);
    Path job = output.resolve("plan/1/kubernetes-1.yaml");
    List<String> before = List.of(Files.readString(commands), Files.readString(job));
    Files.writeString(file, Files.readString(file) + "seeds: [1, 2]\n");
    Call.of("study", file, "--plan")
        .exits(0)
        .prints("stage 1: 2 runs in " + output.resolve("plan/2/commands-1.txt"));
    assertEquals(before, List.of(Files.readString(commands), Files.readString(job)));
    JsonNode first = Yaml.read(before.get(1));
    JsonNode second = Yaml.read(Files.readString(output.resolve("plan/2/kubernetes-1.yaml")));
    assertEquals("made-1-1", first.at("/metadata/name").asText());
    assertEquals("made-2-1", second.at("/metadata/name").asText());
    // What is not there is no run that went well.
    List<String> container = new ArrayList<>(List.of("env", "JOB_COMPLETION_INDEX=1"));
    first
        .at("/spec/template/spec/containers/0/command")
        .forEach(word -> container.add(word.asText()));
    for (List<String> words :
        List.of(
            container,
            List.of(
                "env",
                "SLURM_ARRAY_TASK_ID=1",
                "bash",
                output.resolve("plan/1/slurm-1.sh").toString()))) {
      Files.writeString(commands, "");
      Call call = Child.call(new ProcessBuilder(words));
      assertEquals(1, call.exit(), call.out());
      assertTrue(call.out().contains("the plan has no line "), call.out());
    }
  }

  @Test
  void aTaskWithoutTheMetricThatChoosesRatesIsLeftOutAndTheStudyGoesOn() throws IOException {
    Path file =
        file(
            TUNED.formatted(", metric: macro_f1").replace("[wordnet]", "[acceptability, wordnet]"));
    MadeStudy.make(
        file,
        TaskKind.CLASSIFICATION,
        List.of(Metric.ACCURACY),
        run ->
            Optional.of(
                new Given(
                    0.25,
                    Map.of(
                        run.taskAndModel().task().equals("wordnet") ? "macro_f1" : "accuracy", 0.5),
                    1000,
                    null)));
    Call.of("study", file)
        .exits(
            1,
            "failed: acceptability_minilm_search_0.5_seed-0: learning rates are chosen by macro_f1 on validation data, of which a run has none; it has [accuracy]",
            "2 runs are missing");
    assertTrue(tables().startsWith("# Study made\n\n6 of 8 runs"), tables());
    Call.of("study", file, "--collect").exits(0);
    Call.of("study", file, "--run", "acceptability_minilm_search_0.5_seed-1")
        .exits(1, "learning rates are chosen by macro_f1");
  }

  /** Before the first run, in the middle, and in the end. */
  @Test
  void aPageThatIsWatchedHasTheTablesSoFarAndTheRunsThatGoOn() throws Exception {
    Path file = file(TUNED.formatted(""));
    Study study = StudyFile.read(file);
    StudyPlan plan = new StudyPlan(study);
    StudyPage page = new StudyPage(study, plan, new StudyDirectory(study, plan));
    String before = page.page(output, StudyPage.SECONDS);
    assertTrue(before.contains("http-equiv=\"refresh\" content=\"15\""));
    assertTrue(before.contains("\"runs\":[]"));
    MadeStudy.make(
        file,
        TaskKind.CLASSIFICATION,
        List.of(Metric.ACCURACY),
        run -> Optional.of(new Given(0.5)));
    Path going = output.resolve("runs/wordnet_minilm_supernet_seed-1");
    Files.delete(going.resolve("result.json"));
    Path mark =
        Files.writeString(
            going.resolve("INCOMPLETE"),
            "running since %s, as process %d\n"
                .formatted(Instant.now(), ProcessHandle.current().pid()));
    String middle = page.page(output, StudyPage.SECONDS);
    Files.writeString(mark, "failed: the disk was full\n");
    assertTrue(tables().startsWith("# Study made\n\n3 of 4 runs"), tables());
    assertTrue(middle.contains("\"missing\":[\"wordnet_minilm_supernet_seed-1\"]"));
    assertTrue(middle.contains("\"state\":\"running\""));
    String after = page.page(output, 0);
    assertFalse(after.contains("http-equiv=\"refresh\""));
    Browser browser = Browser.orSkip(temporary);
    for (String text : List.of(before, middle, after)) {
      String dom = browser.dom(Files.writeString(temporary.resolve("watched.html"), text));
      assertTrue(dom.contains("<h1>Study made</h1>"));
      assertEquals(text == middle, dom.contains("<summary>The runs that go on</summary>"));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "study.json | | tables | tables: a list is needed, got nothing",
        "study.json | /tables/0 | metric | tables[0].metric: a text is needed, got nothing",
        "study.json | /tables/0/rows/1 | mean | tables[0].rows[1].mean: a number is needed, got nothing",
        "study.json | /tables/0/comparisons/0 | to | tables[0].comparisons[0].to: a text is needed",
        "study.json | | format | format: a number is needed, got nothing",
        "costs.json | /tables/0/rows/0 | training_seconds | training_seconds: a number is needed",
      })
  void aFileThatLacksAMemberIsNamedWithIt(String name, String at, String member, String message)
      throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    Call.of("study", file, "--collect").exits(0);
    JsonNode whole = json(name);
    // As in a file of an earlier version.
    ((ObjectNode) whole).remove("sha256");
    ((ObjectNode) (at == null ? whole : whole.at(at))).remove(member);
    new JsonMapper().writeValue(output.resolve(name).toFile(), whole);
    Path page = temporary.resolve("page.html");
    Call.of("report", output, "-o", page)
        .exits(1, output.resolve(name) + " is damaged: ", message, "--collect writes it anew");
    assertFalse(Files.exists(page));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "study.json | \"mean\" : 0.5 | \"mean\" : 0.7",
        "costs.json | \"training_seconds\" : 12.5 | \"training_seconds\" : 12.6",
        "study.md | 50.00 | 51.00",
      })
  void aFileThatWasChangedIsRefusedUntilItIsWrittenAnew(String name, String from, String to)
      throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    Call.of("study", file, "--collect").exits(0);
    Path changed = output.resolve(name);
    String text = Files.readString(changed);
    String other = text.replaceFirst(from, to);
    assertFalse(text.equals(other), text);
    Files.writeString(changed, other);
    Path page = temporary.resolve("page.html");
    Call.of("report", output, "-o", page)
        .exits(1, changed + " is damaged or was changed: ", "--collect writes it anew");
    assertFalse(Files.exists(page));
    Call.of("study", file, "--collect").exits(0);
    assertEquals(text, Files.readString(changed));
    Call.of("report", output, "-o", page).exits(0);
    // Those of earlier versions have no checksums.
    for (String json : List.of("study.json", "costs.json")) {
      ObjectNode earlier = (ObjectNode) json(json);
      earlier.remove(List.of("sha256", "files"));
      new JsonMapper().writeValue(output.resolve(json).toFile(), earlier);
    }
    Files.writeString(changed, Files.readString(changed).replaceFirst(from.replace(" ", ""), to));
    Call.of("report", output, "-o", page).exits(0);
  }

  /** As where a process is killed between two renames. */
  @ParameterizedTest
  @ValueSource(
      strings = {"study.md", "study.csv", "study.json", "costs.md", "costs.csv", "costs.json"})
  void filesOfTwoWritingsAreNotShownAsOne(String name) throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    Call.of("study", file, "--collect").exits(0);
    byte[] earlier = Files.readAllBytes(output.resolve(name));
    MadeStudy.make(
        file,
        TaskKind.CLASSIFICATION,
        List.of(Metric.ACCURACY),
        run -> Optional.of(new Given(0.7, Map.of("accuracy", 0.7), 900, 25.0)));
    Call.of("study", file, "--collect").exits(0);
    byte[] later = Files.readAllBytes(output.resolve(name));
    Files.write(output.resolve(name), earlier);
    Path page = temporary.resolve("page.html");
    Call.of("report", output, "-o", page)
        .exits(1, " is damaged or was changed: it has ", "--collect writes it anew");
    assertFalse(Files.exists(page));
    Call.of("study", file, "--collect").exits(0);
    assertArrayEquals(later, Files.readAllBytes(output.resolve(name)));
    Call.of("report", output, "-o", page).exits(0);
  }

  @Test
  void filesThatAreJustBeingRenamedAreReadOnceMore() throws Exception {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    Call.of("study", file, "--collect").exits(0);
    Path tables = output.resolve("study.md");
    byte[] whole = Files.readAllBytes(tables);
    Files.writeString(tables, "# Study made, earlier\n");
    Path page = temporary.resolve("page.html");
    Path put = temporary.resolve("put.md");
    Files.write(put, whole);
    AtomicInteger pauses = new AtomicInteger();
    ReportCommand report =
        new ReportCommand(
            milliseconds -> {
              pauses.incrementAndGet();
              assertTrue(milliseconds > 100, () -> milliseconds + " ms");
              assertTrue(put.toFile().renameTo(tables.toFile()));
            });
    assertEquals(0, new CommandLine(report).execute("" + output, "--output=" + page));
    assertEquals(1, pauses.get());
    assertTrue(Files.exists(page));
  }

  /** A file that can't be written leaves all as they were. */
  @Test
  void theFilesOfAStudyAreReplacedTogether() throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    Call.of("study", file, "--collect").exits(0);
    Path costs = output.resolve("costs.json");
    Map<String, String> before = new TreeMap<>();
    for (String name : StudyJson.ALL) {
      before.put(name, Files.readString(output.resolve(name)));
    }
    Files.delete(costs);
    before.remove("costs.json");
    Files.createDirectory(costs);
    MadeStudy.make(
        file,
        TaskKind.CLASSIFICATION,
        List.of(Metric.ACCURACY),
        run -> Optional.of(new Given(0.7)));
    Call.of("study", file, "--collect").exits(1, "can't write " + costs);
    for (Map.Entry<String, String> one : before.entrySet()) {
      assertEquals(one.getValue(), Files.readString(output.resolve(one.getKey())));
    }
    try (Stream<Path> left = Files.list(output)) {
      assertTrue(left.noneMatch(one -> one.toString().endsWith(".partial")));
    }
    Files.delete(costs);
    Call.of("study", file, "--collect").exits(0);
    assertTrue(tables().contains("70.00"), tables());
  }

  /** Says of a run that was made what it read, or by which versions. */
  private Path origin(String run, String member, Object value) throws IOException {
    Path its = output.resolve("runs").resolve(run);
    Path config = its.resolve("config.json");
    Map<String, Object> members = RunDirectory.parse(config);
    members.put(member, value);
    new JsonMapper().writeValue(config.toFile(), members);
    Manifest.renew(
        RunDirectory.look(its),
        "result.json",
        List.of("config.json", "config.yaml", "metrics.jsonl"));
    return its;
  }

  private static Object file(String path, String sum) {
    return List.of(Map.of("file", path, "bytes", 9, "sha256", sum.repeat(64)));
  }

  @ParameterizedTest
  @CsvSource({"data, /data/train.tsv", "model_files, /models/tiny/model.safetensors"})
  void runsOfOtherDataOrAnotherModelAreNotCompared(String member, String read) throws IOException {
    Path file =
        classified(
            TUNED.formatted("").replace("[wordnet]", "[wordnet, acceptability]"),
            run -> Optional.of(new Given(0.5)));
    Path one = origin("wordnet_minilm_supernet_seed-0", member, file(read, "a"));
    Call.of("study", file, "--collect").exits(0);
    Path other = origin("wordnet_minilm_supernet_seed-1", member, file(read, "b"));
    String before = tables();
    for (String way : List.of("--collect", "--watch")) {
      Call.of("study", file, way)
          .exits(
              1,
              "%s and %s can't be compared".formatted(one, other),
              read + " is not what the run " + one + " read",
              "it has 9 bytes with SHA-256 bbb",
              "and had 9 bytes with SHA-256 aaa",
              "delete or move the directory of each run that is not to count");
    }
    assertEquals(before, tables());
    Files.move(other, temporary.resolve("moved"));
    Call.of("study", file, "--collect").exits(0, "1 runs are missing");
    // Of another task are other files.
    origin("acceptability_minilm_supernet_seed-0", member, file(read, "b"));
    Call.of("study", file, "--collect").exits(member.equals("data") ? 0 : 1);
  }

  /** Files of the same name in other directories would else be taken for one that has moved. */
  @Test
  void tasksOfOneDataSetMayReadOtherParts() throws IOException {
    String part = "%s: {dataset_name: mnli, validation_split_name: validation_%s}";
    Path file =
        classified(
            TUNED
                .formatted("")
                .replace(
                    "[wordnet]",
                    "{"
                        + part.formatted("same", "matched")
                        + ", "
                        + part.formatted("other", "mismatched")
                        + "}"),
            run -> Optional.of(new Given(0.5)));
    origin("same_minilm_supernet_seed-0", "data", file("/mnli/matched/0000.parquet", "a"));
    origin("other_minilm_supernet_seed-0", "data", file("/mnli/mismatched/0000.parquet", "b"));
    Call.of("study", file, "--collect").exits(0);
  }

  @Test
  void norAreRunsOfAnotherJarOfThePluginsThatTheirCommandsName() throws IOException {
    String jar = "/jars/crit.jar";
    Path file =
        classified(
            TUNED
                .formatted("")
                .replace("learning_rate: 1e-3", "learning_rate: 1e-3, plugins: " + jar),
            run -> Optional.of(new Given(0.5)));
    Path one = origin("wordnet_minilm_supernet_seed-0", "plugins", file(jar, "a"));
    // Its command names none.
    origin("wordnet_minilm_search_0.5_seed-0", "plugins", file(jar, "c"));
    Study study = StudyFile.read(file);
    for (String sum : List.of("a", "b")) {
      Path other = origin("wordnet_minilm_supernet_seed-1", "plugins", file(jar, sum));
      StudyDirectory directory = new StudyDirectory(study, new StudyPlan(study));
      assertFalse(directory.collected().isEmpty());
      if (sum.equals("a")) {
        directory.requireAlike();
      } else {
        String refused =
            assertThrows(RunDirectoryException.class, directory::requireAlike).getMessage();
        assertTrue(
            refused.startsWith(
                "%s and %s can't be compared, for the plugins changed".formatted(one, other)),
            refused);
        assertTrue(refused.contains(jar + " is not what the run " + one + " read"), refused);
      }
    }
  }

  @Test
  void otherVersionsAreSaid() throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.5)));
    for (int seed = 0; seed < 2; seed++) {
      origin(
          "wordnet_minilm_supernet_seed-" + seed,
          "versions",
          Map.of("java", seed == 0 ? "17.0.1" : "21.0.2", "libtorch", "2.6"));
    }
    String line =
        "The runs were not all made with the same versions, by which their last bits may differ: java 17.0.1 (1), 21.0.2 (1)";
    Call.of("study", file, "--collect").exits(0, line).prints(line);
    assertTrue(tables().contains("\n" + line + ".\n"), tables());
  }

  @Test
  void itIsSaidWhyADifferenceHasNoIntervalAndOverTasksThatOfTheSeedsMeansIsShown()
      throws IOException {
    double[] random = {0.50, 0.60, 0.55};
    double[] far = {0.30, 0.41, 0.345};
    Path file =
        classified(
            """
            tasks: [wordnet, acceptability]
            methods:
              random: {command: train, modules: random}
              same: {command: search}
              far: {command: search, strategy: gates}
              head: {command: train, modules: head}
              supernet: {command: train, modules: supernet}
            compare_with: [random, head]
            budgets: [0.5]
            seeds: [0, 1, 2]
            """,
            run -> {
              int seed = (int) run.seed();
              boolean second = run.taskAndModel().task().equals("acceptability");
              return switch (run.method().name()) {
                case "far" -> Optional.of(new Given(far[seed]));
                case "supernet" -> Optional.of(new Given(0.7 + 0.01 * seed * seed));
                case "head" -> seed > 0 && second ? Optional.empty() : Optional.of(new Given(0.2));
                default -> Optional.of(new Given(random[seed]));
              };
            });
    Call.of("study", file, "--collect").exits(0);
    List<String> words = new ArrayList<>();
    JsonNode study = json("study.json");
    for (String tables : List.of("overall", "tables")) {
      study
          .get(tables)
          .forEach(
              table ->
                  table
                      .get("comparisons")
                      .forEach(
                          one ->
                              words.add(
                                  "%s %s to %s: %s"
                                      .formatted(
                                          table.get("budget").asText(),
                                          one.get("method").asText(),
                                          one.get("to").asText(),
                                          one.get("why_unknown").asText()))));
    }
    assertTrue(
        words.contains("0.5 same to random: all seeds of a task differ by the same"),
        words::toString);
    assertTrue(words.contains("0.5 same to random: all seeds differ by the same"), words::toString);
    assertTrue(words.contains("0.5 random to head: a task has one seed"), words::toString);
    assertTrue(words.contains("0.5 random to head: one seed says nothing"), words::toString);
    assertTrue(words.contains("0.5 far to random: null"), words::toString);
    // Methods without a budget are compared with one another once.
    assertTrue(words.contains("null supernet to head: null"), words::toString);
    assertTrue(
        words.stream().noneMatch(one -> one.startsWith("0.5 supernet to head")), words::toString);
    JsonNode overall =
        StreamSupport.stream(study.get("overall").spliterator(), false)
            .filter(table -> table.get("budget").asText().equals("0.5"))
            .findFirst()
            .orElseThrow();
    for (JsonNode one : overall.get("comparisons")) {
      boolean same =
          one.get("method").asText().equals("far") && one.get("to").asText().equals("random");
      assertTrue(!same || one.get("of_seeds").size() == 2, one::toString);
    }
    assertTrue(tables().contains("| of seeds "), tables());
    assertTrue(tables().contains("| all seeds differ by the same"), tables());
  }

  @Test
  void anIntervalThatHoldsZeroIsNoDifferenceOnThePage() throws Exception {
    double[] random = {0.50, 0.60, 0.55};
    double[] near = {0.52, 0.57, 0.56};
    double[] far = {0.30, 0.41, 0.345};
    Path file =
        classified(
            """
            tasks: [wordnet, acceptability]
            methods:
              random: {command: train, modules: random}
              near: {command: search}
              far: {command: search, strategy: gates}
            budgets: [0.5]
            seeds: [0, 1, 2]
            """,
            run -> {
              int seed = (int) run.seed();
              return Optional.of(
                  switch (run.method().name()) {
                    case "random" -> new Given(random[seed]);
                    case "near" -> new Given(near[seed], Map.of(), 900, 30.0);
                    default -> new Given(far[seed], Map.of(), 800, 90.0);
                  });
            });
    Call.of("study", file, "--collect").exits(0);
    Path page = temporary.resolve("page.html");
    Call.of("report", output, "-o", page).exits(0).prints("18 runs");
    assertTrue(Files.size(page) < 2_000_000);
    Browser browser = Browser.orSkip(temporary);
    String dom = browser.dom(page);
    assertTrue(dom.contains("<h1>Study made</h1>"));
    assertTrue(dom.contains("<b>Compared with random </b>no difference: near; worse: far"), dom);
    for (String part :
        List.of(
            "Over all tasks, budget 0.5: difference to random",
            "wordnet, minilm, budget 0.5: test accuracy against trainable parameters",
            "wordnet, minilm, budget 0.5: test accuracy against seconds of search and training",
            "acceptability, minilm, budget 0.5: difference to random",
            "What each method costs, budget 0.5: seconds")) {
      assertTrue(dom.contains("<h3>" + part + "</h3>"), part);
    }
    // In trainings of its result.
    assertTrue(dom.contains("1.7 min, search 7.2 ×"), "the cost of the search");
    assertEquals(List.of(), browser.violations(page, false));
    assertEquals(List.of(), browser.violations(page, true));
  }

  /** In a study's directory that came from elsewhere. */
  @ParameterizedTest
  @CsvSource({
    "study.md, --collect",
    "costs.json, --collect",
    "plan, --plan",
    ".lock,",
    "logs,",
    "commands,",
    "runs/wordnet_minilm_search_0.5_seed-0,"
  })
  void whatALinkLeadsToIsNotWritten(String name, String way) throws IOException {
    Path file =
        classified(
            TUNED.formatted(""),
            run ->
                run.tried() == null && run.seed() == 0
                    ? Optional.empty()
                    : Optional.of(new Given(0.25)));
    Path elsewhere = Files.createDirectory(temporary.resolve("elsewhere"));
    Path mine = Files.writeString(elsewhere.resolve("mine"), "mine");
    Path link = output.resolve(name);
    if (Files.exists(link)) {
      Directories.delete(link);
    }
    boolean isFile = List.of("study.md", "costs.json", ".lock").contains(name);
    Path empty = Files.createDirectory(temporary.resolve("empty"));
    Files.createSymbolicLink(link, isFile ? mine : empty);
    Call.of("study", file, way == null ? List.of() : way)
        .exits(1, link + " is a symbolic link; a run or a study writes and removes only");
    assertEquals("mine", Files.readString(mine));
    assertEquals(Set.of(), Small.names(empty));
    assertEquals(Set.of("mine"), Small.names(elsewhere));
  }

  @ParameterizedTest
  @EnumSource
  void whatHasNoEndIsRefusedByItsName(Endless endless) throws IOException {
    Path file = classified(TUNED.formatted(""), run -> Optional.of(new Given(0.25)));
    Call.of("study", file, "--collect").exits(0);
    Path page = temporary.resolve("never.html");
    for (String name : List.of("study.json", "costs.json")) {
      Path one = output.resolve(name);
      endless
          .read(one, () -> Call.of("report", output, "--output=" + page))
          .exits(1, one + " is a device, a FIFO or a socket");
    }
    assertFalse(Files.exists(page));
  }
}
