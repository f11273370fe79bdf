package org.prunepeft.cli;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.io.Yaml;

class StudyFileTest {
  private static final String METHODS =
      "methods: {random: {command: train, modules: random}, search: {command: search}}\n";

  private static final String TASKS = "tasks: [wordnet]\n";

  @TempDir Path temporary;

  private Path file(String text) throws IOException {
    return Files.writeString(temporary.resolve("study.yaml"), text);
  }

  private StudyPlan plan(String text) throws IOException {
    return new StudyPlan(StudyFile.read(file(text)));
  }

  private static List<String> names(StudyPlan plan) {
    return plan.runs().stream().map(PlannedRun::name).toList();
  }

  /** The commands' options are looked up once, and what nobody is told is not put into words. */
  @Test
  void anotherStudyTakesLittleMemory() throws IOException {
    Path file = file(TASKS + METHODS + "options: {epochs: 3, lora_r: 4, batch_size: 8}\n");
    StudyFile.read(file);
    long bytes = AllocatedBytes.of(() -> StudyFile.read(file));
    assertTrue(bytes < 1_000_000, () -> bytes + " bytes");
  }

  @Test
  void moreRunsThanCanBePlannedAreRefused() throws IOException {
    String seeds = IntStream.range(0, 500).mapToObj(String::valueOf).collect(joining(", "));
    String file = TASKS + METHODS + "budgets: [0.5, 0.25]\ndraws: %d\nseeds: [" + seeds + "]\n";
    Call.of("study", file(file.formatted(100)))
        .exits(2, "it asks for 101,000 runs, the most is 100,000");
    assertEquals(100_000, plan(file.formatted(99)).runs().size());
  }

  /** {@code =} begins a whole file. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "sedes: [0] | study.yaml: unknown key 'sedes'; did you mean seeds?",
        "options: {epoch: 1} | study.yaml, options: unknown key 'epoch'; did you mean epochs?",
        "options: {seed: 1} | options: seed is no option of a study's runs; the study has a key seeds",
        "options: {keep: 0.5} | options: keep is no option of a study's runs; the study has a key budgets",
        "options: {learning-rate: 1} | the study has a key learning_rate",
        "options: {epochs: many} | study.yaml, options: epochs must be a whole number, got 'many'",
        "options: {model: minilm} | options: the model is named under models",
        "options: {output: x} | options: unknown key 'output'",
        "options: 3 | study.yaml, options: a mapping is needed, got 3",
        "budgets: [half] | budgets: a budget is a share such as 0.25",
        "budgets: [0.5, 0.5] | budgets: 0.5 is there twice",
        "budgets: [10q] | '10q' is not a whole number such as",
        "budgets: [200k, 200000] | budgets: 200000 is there twice",
        "budgets: [5e-4, 0.0005] | budgets: 0.0005 is there twice",
        "budgets: [0] | budgets: a budget is above 0, got 0",
        "budgets: [1.5] | budgets: a budget is a share of at most 1, or a whole number of parameters, got 1.5",
        "seeds: [a] | seeds: an integer is needed, got a",
        "seeds: [1, 1] | seeds: 1 is there twice",
        "seeds: [1, null] | seeds: one in the list is nothing",
        "jobs: 0 | jobs: it must be in [1, 1000], got 0",
        "threads: 2000 | threads: it must be in [1, 1024], got 2000",
        "compare_with: [search, random, search] | compare_with: search is there twice",
        "compare_with: rndom | compare_with: unknown method 'rndom'; did you mean random?",
        "learning_rate: -1 | learning_rate: a learning rate is a number above 0",
        "learning_rate: {candidates: [1e-3, 0.001]} | a candidate is there twice",
        "learning_rate: {candidate: [1e-3]} | learning_rate: unknown key 'candidate'",
        "learning_rate: {candidates: [1e-3, 2e-3], seed: 0} | tried on seed 0, which is one of the study's",
        "learning_rate: {candidates: [1e-3, 2e-3], metric: loss} | learning_rate.metric: ",
        "models: {a_b: minilm} | models: a name has at most 60 letters, digits, dots and dashes, got 'a_b'",
        "models: [] | models: one or more are needed, got none",
        "models: {a: {lora_rang: 4}} | study.yaml, models.a: unknown key 'lora_rang'",
        "=[1] | study.yaml must be a mapping",
        "=x: [1 | is not understood as YAML",
        "={jobs: 1, jobs: 2} | is not understood as YAML: Duplicate",
      })
  void whatIsNotUnderstoodIsNamedWithItsPlaceAndLeavesNothing(String text, String message)
      throws IOException {
    Path output = temporary.resolve("output");
    Path file =
        file(
            text.startsWith("=")
                ? text.substring(1)
                : text + "\noutput: " + output + "\n" + TASKS + METHODS);
    Call.of("study", file).exits(2, message);
    assertFalse(Files.exists(output));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{a: {command: trian}} | methods.a: unknown command 'trian'; did you mean train?",
        "{a: {modules: random}} | methods.a.command: a text is needed, got nothing",
        "{a: {command: train, rounds: 3}} | methods.a: unknown key 'rounds'",
        "{a: {command: train, draws: 3}} | methods.a: draws are for train with modules: random",
        "{a: {command: train, metric: macro_f1}} | methods.a: metric must be the same for all methods that are compared; name it under tasks or options",
        "{a: {command: train, metric_name: macro_f1}} | methods.a: metric must be the same",
        "{a: {command: search, test-seed: 1}} | methods.a: test_seed must be the same",
        "{a: {command: train, test_examples: 10}} | methods.a: test_examples must be the same",
        "{a: {command: train, test_file: b.csv}} | methods.a: test_file must be the same",
        "{a: {command: train, dataset_name: b}} | methods.a: dataset_name must be the same",
        "{a: {command: train, dataset_config_name: b}} | methods.a: dataset_config_name must be the same",
        "{a: {command: train, train_split_name: b}} | methods.a: train_split_name must be the same",
        "{a: {command: train, validation_split_name: b}} | methods.a: validation_split_name must be the same",
        "{a: {command: train, test-split-name: b}} | methods.a: test_split_name must be the same",
        "{a: {command: train, budgets: [0.5]}} | methods.a: budgets are for search",
        "{a: {command: search, strategy: {method: b}}} | methods.a: unknown method 'b'",
        "{a: {command: search, strategy: {methd: b}}} | methods.a.strategy: unknown key 'methd'",
        "{b: {command: search, budgets: [0.5]}, a: {command: train, modules: {method: b}, budgets: [0.5, 0.25]}} | methods.a: it takes runs of b, which has the budgets [0.5] and not all of [0.5, 0.25]",
        "{b: {command: train, modules: supernet}, a: {command: train, modules: {method: b}, budgets: [0.5]}} | methods.a: budgets are those of the runs that it takes, and these have none; leave them out",
        "{a: {command: search}, A: {command: search}} | methods: a is there twice",
        "{'': {command: search}} | methods: a name has at most 60 letters",
        "{'../x': {command: search}} | methods: a name has at most 60 letters",
        "{} | methods: one or more are needed, got none",
      })
  void aMethodThatIsNotUnderstoodIsNamed(String methods, String message) throws IOException {
    Call.of("study", file(TASKS + "methods: " + methods + "\n")).exits(2, message);
  }

  @Test
  void aFileThatIsNoOnesOwnIsNotParsed() throws IOException {
    Call.of("study", file("a: b\n".repeat(1_000_000)))
        .exits(2, "is not understood as YAML: it has 4,000,004 characters");
    Call.of("study", temporary.resolve("absent.yaml")).exits(1, "it does not exist");
  }

  @Test
  void eachRunHasANameOfItsOwnAndThoseThatChooseRatesComeFirst() throws IOException {
    StudyPlan plan =
        plan(
            """
            tasks: {wordnet: {test_examples: 20}, acceptability: }
            models: [minilm]
            methods:
              random: {command: train, modules: random}
              supernet: {command: train, modules: supernet}
              search: {command: search, learning_rate: default}
            budgets: [0.5, 200k]
            seeds: [3, 4]
            draws: 2
            learning_rate: {candidates: [1e-3, 2e-3]}
            """);
    List<String> names = names(plan);
    assertEquals(names.size(), new HashSet<>(names).size());
    // Rates of random for two budgets and of the supernet, twice, on two tasks.
    assertEquals(12, names.stream().filter(name -> name.contains("_rate-")).count());
    assertTrue(names.get(11).contains("_rate-0.002_seed-1000"), names.get(11));
    assertEquals(12 + 2 * 2 * (4 + 1 + 2), names.size());
    assertTrue(names.contains("wordnet_minilm_random_200k_seed-4_draw-1"));
    assertTrue(names.contains("acceptability_minilm_supernet_seed-3"));
    PlannedRun random = plan.run("wordnet_minilm_random_200k_seed-4_draw-1").orElseThrow();
    assertEquals(1, plan.stage(random));
    // Tasks have random subsets of their own, and so have draws.
    int draw = draw(plan, random);
    assertEquals(
        draw, draw(plan, plan.run("wordnet_minilm_random_0.5_seed-3_draw-1").orElseThrow()));
    assertEquals(
        draw, 1 + draw(plan, plan.run("wordnet_minilm_random_200k_seed-4_draw-0").orElseThrow()));
    int other =
        draw(plan, plan.run("acceptability_minilm_random_200k_seed-4_draw-1").orElseThrow());
    assertTrue(Math.abs(draw - other) > 1000, draw + " and " + other);
    assertEquals(
        List.of(
            "train",
            "--model=minilm",
            "--test-examples=20",
            "--task=wordnet",
            "--modules=random",
            "--learning-rate=1e-3",
            "--budget=200k",
            "--draw=" + draw,
            "--seed=4",
            "--threads=1"),
        plan.arguments(random, "1e-3"));
    PlannedRun search = plan.run("wordnet_minilm_search_0.5_seed-3").orElseThrow();
    assertEquals(0, plan.stage(search));
    assertEquals(List.of(), plan.needs(search));
  }

  private static int draw(StudyPlan plan, PlannedRun run) {
    return plan.arguments(run, "1e-3").stream()
        .filter(word -> word.startsWith("--draw="))
        .map(word -> Integer.parseInt(word.substring("--draw=".length())))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void randomModulesOfOneDrawAreOfTheirTaskToo() throws IOException {
    StudyPlan plan =
        plan(
            """
            tasks: {wordnet: , acceptability: }
            models: [minilm]
            methods:
              random: {command: train, modules: random}
              first: {command: train, modules: first-layers}
            budgets: [0.5]
            """);
    int one = draw(plan, plan.run("wordnet_minilm_random_0.5_seed-0").orElseThrow());
    int other = draw(plan, plan.run("acceptability_minilm_random_0.5_seed-0").orElseThrow());
    assertTrue(one >= 0 && other >= 0 && one != other, one + " and " + other);
    List<String> first =
        plan.arguments(plan.run("wordnet_minilm_first_0.5_seed-0").orElseThrow(), "1e-3");
    assertTrue(first.stream().noneMatch(word -> word.startsWith("--draw")), first::toString);
  }

  @Test
  void optionsOfAMethodGoBeforeItsTasksThoseBeforeItsModelsAndCommonOnesLast() throws IOException {
    StudyPlan plan =
        plan(
            """
            tasks: {words: {task: wordnet, lora_r: 3, epochs: 3}}
            models: {small: {model: minilm, lora_rank: 2, epochs: 2, weight_decay: 2}}
            options: {rounds: 1, lora-r: 1, epochs: 1, weight_decay: 1, batch_size: 1}
            methods: {search: {command: search, epochs: 4}, head: {command: train, modules: head}}
            """);
    List<String> words = plan.arguments(plan.runs().get(0), null);
    assertTrue(
        words.containsAll(
            List.of(
                "--rounds=1", "--lora-r=3", "--epochs=4", "--weight-decay=2", "--batch-size=1")),
        words.toString());
    assertEquals(words.size(), new HashSet<>(words).size());
    // Training has no rounds.
    assertFalse(plan.arguments(plan.runs().get(1), null).contains("--rounds=1"));
  }

  @Test
  void aMethodMayTakeTheRunOfAnother() throws IOException {
    StudyPlan plan =
        plan(
            """
            output: out
            tasks: [wordnet, acceptability]
            methods:
              search: {command: search}
              moved: {command: search, strategy: {method: search, task: wordnet}, budgets: [0.25]}
            budgets: [0.5, 0.25]
            """);
    PlannedRun moved = plan.run("acceptability_minilm_moved_0.25_seed-0").orElseThrow();
    assertEquals(
        List.of("wordnet_minilm_search_0.25_seed-0"),
        plan.needs(moved).stream().map(PlannedRun::name).toList());
    assertTrue(
        plan.arguments(moved, null)
            .contains("--strategy=out/runs/wordnet_minilm_search_0.25_seed-0"));
    assertEquals(1, plan.stage(moved));
    assertEquals(moved, plan.runs().get(5));
  }

  @Test
  void whatTrainsTheModulesOfRunsHasTheirBudgetsOrSaysWhichOfThem() throws IOException {
    StudyPlan plan =
        plan(
            """
            tasks: [wordnet]
            methods:
              search: {command: search, budgets: [0.5, 0.25]}
              again: {command: train, modules: {method: search}}
              once: {command: train, modules: {method: search}, budgets: [0.25]}
              supernet: {command: train, modules: supernet}
              whole: {command: train, modules: {method: supernet}}
            budgets: [0.1]
            """);
    assertEquals(
        List.of(
            "wordnet_minilm_search_0.5_seed-0",
            "wordnet_minilm_search_0.25_seed-0",
            "wordnet_minilm_supernet_seed-0",
            "wordnet_minilm_again_0.5_seed-0",
            "wordnet_minilm_again_0.25_seed-0",
            "wordnet_minilm_once_0.25_seed-0",
            "wordnet_minilm_whole_seed-0"),
        names(plan));
  }

  @ParameterizedTest
  @CsvSource({
    "0.0005, 0.0005, --keep=0.0005",
    "5e-4, 0.0005, --keep=0.0005",
    "1, 1, --keep=1",
    "2, 2, --budget=2",
    "2.5e6, 2500000, --budget=2500000",
    "1.5M, 1.5M, --budget=1.5M",
    "0.001k, 0.001k, --budget=0.001k",
  })
  void aNumberOfAtMostOneIsAShareAndAGreaterOneCountsParameters(
      String budget, String name, String option) throws IOException {
    StudyPlan plan = plan(TASKS + METHODS + "budgets: [" + budget + "]\n");
    PlannedRun run = plan.run("wordnet_minilm_search_" + name + "_seed-0").orElseThrow();
    assertTrue(plan.arguments(run, null).contains(option), plan.arguments(run, null).toString());
  }

  /** The studies that come with the project. */
  @ParameterizedTest
  @ValueSource(strings = {"small", "quality", "paper"})
  void studiesOfTheProjectCanBePlanned(String name) throws IOException {
    Path file = Path.of("../../benchmarks/studies", name + ".yaml");
    Study study = StudyFile.read(file);
    StudyPlan plan = new StudyPlan(study);
    List<String> names = names(plan);
    assertEquals(names.size(), new HashSet<>(names).size());
    plan.runs().forEach(run -> plan.arguments(run, "1e-3"));
    String text =
        Files.readString(file)
            .replaceFirst("(?m)^output: .*$", "output: " + temporary.resolve("out"));
    Path copy = Files.writeString(temporary.resolve(name + ".yaml"), text);
    Call.of("study", copy, "--plan").exits(0).prints("stage 1: ");
    long lines;
    try (var files = Files.list(temporary.resolve("out/plan/1"))) {
      lines =
          files
              .filter(one -> one.getFileName().toString().startsWith("commands-"))
              .mapToLong(
                  one -> {
                    try {
                      return Files.readAllLines(one).size();
                    } catch (IOException e) {
                      throw new IllegalStateException(e);
                    }
                  })
              .sum();
    }
    assertEquals(plan.runs().size(), lines);
    assertEquals(
        name.equals("paper"),
        Files.readString(temporary.resolve("out/plan/1/slurm-1.sh")).contains("--gres=gpu:1\n"));
  }

  @Test
  void aPlanHasNamesAndPathsAsSlurmAndKubernetesTakeThem() throws IOException {
    Path output = temporary.resolve("of 50%");
    Path file =
        Files.writeString(
            temporary.resolve("x".repeat(60) + ".yaml"),
            METHODS + TASKS + "seeds: [0, 1]\noutput: " + output + "\n");
    Call.of("study", file, "--plan").exits(0);
    String slurm = Files.readString(output.resolve("plan/1/slurm-1.sh"));
    String logs = output.resolve("logs/slurm-%A-%a.txt").toString().replace("50%", "50%%");
    assertTrue(slurm.contains("\n#SBATCH --output='" + logs + "'\n"), slurm);
    String job = Files.readString(output.resolve("plan/1/kubernetes-1.yaml"));
    String name = Yaml.read(job).at("/metadata/name").asText();
    assertTrue((name + "-3").matches("[a-z]([-a-z0-9]{0,61}[a-z0-9])?"), name);
    assertNotEquals(name, ClusterPlan.label("x".repeat(60) + "-1-2", 4));
    assertEquals("small-1-1", ClusterPlan.label("Small-1-1", 4));
  }
}
