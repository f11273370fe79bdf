package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.PrunePeft;
import org.prunepeft.RunContents;
import org.prunepeft.data.Schema;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.report.LearningCurve;
import org.prunepeft.report.RunSchema;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.StrategyFile;
import org.prunepeft.study.RunResult;
import org.prunepeft.testing.Endless;
import org.prunepeft.testing.TestSeed;

/** What commands say of a run whose files, or whose model's, are not what they were. */
@Timeout(3600)
class DamagedRunTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir static Path temporary;
  private static Path model;
  private static Path run;
  private static Path export;
  private static Path texts;

  /** What the run predicts. */
  private static String predicted;

  @BeforeAll
  static void write() throws IOException {
    RunsToDamage runs = RunsToDamage.get();
    model = runs.model;
    run = runs.run;
    export = runs.export;
    texts = temporary.resolve("texts.txt");
    Files.writeString(texts, "the thing in a tin\nan other thing\n");
    predicted = Call.of("predict", run, texts).exits(0).out();
  }

  /** A copy of the run. */
  private static Path copy(String name) throws IOException {
    return copy(run, name);
  }

  private static Path copy(Path directory, String name) throws IOException {
    return RunsToDamage.copy(directory, temporary.resolve(name));
  }

  private static Path writer(Path llama, String name) throws IOException {
    return RunsToDamage.writer(llama, temporary.resolve(name));
  }

  @Test
  void aTruncatedFileIsFound() throws IOException {
    Random random = TestSeed.random();
    for (Path file : RunsToDamage.files(run)) {
      byte[] whole = Files.readAllBytes(file);
      try {
        Files.write(file, Arrays.copyOf(whole, random.nextInt(whole.length)));
        Call.of("evaluate", run).exits(1, file.getFileName().toString());
      } finally {
        Files.write(file, whole);
      }
    }
  }

  @Test
  void aFileThatIsGoneIsMissed() throws IOException {
    for (Path file : RunsToDamage.files(run)) {
      byte[] whole = Files.readAllBytes(file);
      try {
        Files.delete(file);
        boolean isResult = file.endsWith("result.json");
        Call.of("evaluate", run)
            .exits(1, file + " is missing", isResult ? "make " + run : "prunepeft seal " + run);
      } finally {
        Files.write(file, whole);
      }
    }
  }

  @Test
  void aRunWithoutResultsIsNotSealed() throws IOException {
    Path without = copy("without-result");
    Path result = without.resolve("result.json");
    Files.delete(result);
    Call missed = Call.of("evaluate", without).exits(1, result + " is missing");
    assertFalse(missed.err().contains("seal"), missed.err());
    Call.of("seal", without).exits(1, result + " is missing", "has no results");
    assertTrue(Files.notExists(result));
  }

  @Test
  void allFilesThatDifferAreNamedAndASealListsThem() throws IOException {
    Path edited = copy("edited-twice");
    Path summary = edited.resolve("summary.md");
    Files.writeString(summary, "a note\n", StandardOpenOption.APPEND);
    flip(edited.resolve("head.safetensors"));
    Files.delete(edited.resolve("predictions.jsonl"));
    Call refused = Call.of("predict", edited, texts).exits(1, "is damaged or was changed");
    for (String name : List.of("summary.md", "head.safetensors", "predictions.jsonl (missing)")) {
      assertTrue(refused.err().contains(name), refused.err());
    }
    assertFalse(refused.err().contains("config.json"), refused.err());
    String sealed = Call.of("seal", edited).exits(0).out();
    assertEquals(4, sealed.lines().count(), sealed);
    assertTrue(sealed.contains(summary + " was changed: it has "), sealed);
    assertTrue(sealed.contains("head.safetensors was changed: it has "), sealed);
    assertTrue(sealed.contains("predictions.jsonl is gone"), sealed);
    assertEquals("sealed " + edited, Call.of("seal", edited).exits(0).out().strip());
    Files.copy(run.resolve("predictions.jsonl"), edited.resolve("predictions.jsonl"));
    Call.of("seal", edited).exits(0).prints("predictions.jsonl had no checksum");
  }

  @Test
  void aChangedBaseModelIsTakenOnlyWhereItIsNamed() throws IOException {
    Path edited = copy("edited-model");
    Files.writeString(edited.resolve("summary.md"), "a note\n", StandardOpenOption.APPEND);
    byte[] result = Files.readAllBytes(edited.resolve("result.json"));
    Path weights = model.resolve("model.safetensors");
    byte[] whole = Files.readAllBytes(weights);
    try {
      flip(weights);
      Call.of("seal", edited)
          .exits(1, weights + " is not what the run", "seal " + edited + " --model " + model);
      assertArrayEquals(result, Files.readAllBytes(edited.resolve("result.json")));
      Call.of("predict", edited, texts).exits(1, "summary.md is damaged or was changed");
      Call.of("seal", edited, "--model=" + model).exits(0).prints(weights + " is not what the run");
      Call.of("predict", edited, texts).exits(0);
    } finally {
      Files.write(weights, whole);
    }
  }

  /** The lowest bit of the last weight. */
  private static void flip(Path file) throws IOException {
    byte[] content = Files.readAllBytes(file);
    content[content.length - 4] ^= 1;
    Files.write(file, content);
  }

  @Test
  void eachCommandThatReadsARunRefusesADamagedOne() throws IOException {
    Path damaged = copy("damaged");
    Path file = damaged.resolve("configuration.json");
    Files.writeString(file, Files.readString(file) + "\n");
    String[] said = {
      file + " is damaged or was changed: it has ", ", but was written with ", "with SHA-256 "
    };
    Path output = temporary.resolve("never");
    Call.of("evaluate", damaged).exits(1, said);
    Call.of("predict", damaged, texts).exits(1, said);
    Call.of("export", damaged, "--format=adapters", "--output=" + output).exits(1, said);
    Call.of("export", damaged, "--merge", "--output=" + output).exits(1, said);
    Call.of("train", "--modules=" + damaged, "--model=" + model, "--output=" + output)
        .exits(1, said);
    Call.of("search", "--strategy=" + damaged, "--model=" + model, "--output=" + output)
        .exits(1, said);
    Call.of("generate", damaged, "--prompt=a").exits(1, said);
    Call.of("chat", damaged).exits(1, said);
    Call.of("report", damaged, "--output=" + output).exits(1, said);
    Call.of("report", run, damaged, "--output=" + output).exits(1, said);
    Call.of("explain", damaged, "0.lora").exits(1, said);
    Call.of("export-mlflow", run, damaged, "--output=" + output).exits(1, said);
    Call.of("compare", run, damaged).exits(1, said);
    Call.of("search", "--resume", damaged).exits(1, said);
    assertTrue(Files.notExists(output));
    Call.of("runs", damaged).exits(0).prints("damaged: " + file);
  }

  @Test
  void aSummaryThatWasEditedIsNotPrintedByAResumption() throws IOException {
    Path edited = copy("edited-summary");
    Call.of("search", "--resume", edited).exits(0, "is complete; nothing is left to do");
    Path summary = edited.resolve("summary.md");
    Files.writeString(summary, Files.readString(summary) + "better than it was\n");
    Call refused =
        Call.of("search", "--resume", edited).exits(1, summary + " is damaged or was changed: ");
    assertFalse(refused.out().contains("better than it was"), refused.out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"train --seeds=1,2", "train --modules=random --keep=0.5,0.25"})
  void whatIsAboveSeveralRunsIsNotPrintedByAResumptionIfItWasEdited(String words)
      throws IOException {
    Path above = Files.createTempDirectory(temporary, "above");
    Call.of(
            words.split(" "),
            "--model=" + model,
            Small.examples(24),
            "--lora-r=2",
            "--adapter-size=2",
            "--output=" + above)
        .exits(0);
    boolean seeds = words.contains("seeds");
    String[] resume = {"train", "--resume=" + above};
    String printed = Call.of((Object) resume).exits(0, "complete; nothing is left to do").out();
    Path one = above.resolve(seeds ? "seed-2/summary.md" : "keep-0.25/summary.md");
    edited(one, "better", () -> Call.of((Object) resume).exits(1, one + " is damaged or was "));
    Path together = above.resolve(seeds ? "seeds.json" : "budgets.json");
    Path summary = above.resolve("summary.md");
    Path options = above.resolve("config.yaml");
    for (Path file : List.of(summary, options)) {
      String[] said = {
        file + " is damaged or was changed: it has ",
        ", but was written with ",
        "delete " + summary + ", and --resume makes anew what its runs gave together",
        "prunepeft seal " + above
      };
      edited(
          file,
          "# better",
          () -> {
            Call refused = Call.of((Object) resume).exits(1, said);
            assertFalse(refused.out().contains("better"), refused.out());
          });
    }
    edited(
        options,
        "# by hand",
        () ->
            Call.of("train", "--config=" + options, "--output=" + temporary.resolve("never"))
                .exits(1, options + " is damaged or was changed"));
    assertTrue(Files.notExists(temporary.resolve("never")));
    String whole = Files.readString(together);
    Files.writeString(together, whole.replaceFirst("(_parameters\" : (\\[ )?)", "$11"));
    Call.of((Object) resume).exits(1, together + " is damaged or was changed: its content has ");
    Call.of("seal", above).exits(0).prints(together + " was changed: its content has ");
    Call.of((Object) resume).exits(0).prints(printed);
    // What can't be restored is made again.
    Files.delete(together);
    Call.of((Object) resume)
        .exits(1, above + " has neither seeds.json nor budgets.json", "delete " + summary);
    Call.of("seal", above).exits(1, "has neither");
    Files.delete(summary);
    assertEquals(printed, Call.of((Object) resume).exits(0).out());
    assertEquals(whole, Files.readString(together));
    for (Endless endless : Endless.values()) {
      assertNoEnd(summary, endless.read(summary, () -> Call.of((Object) resume)));
    }
  }

  /** Appends a line to a file while something is done. */
  private static void edited(Path file, String line, Runnable work) throws IOException {
    byte[] whole = Files.readAllBytes(file);
    Files.writeString(file, line + "\n", StandardOpenOption.APPEND);
    try {
      work.run();
    } finally {
      Files.write(file, whole);
    }
  }

  /** In a file that someone has changed. */
  @Test
  void dataWithoutANameAreNoneThatHaveMoved() throws IOException {
    Path edited = copy("nameless-data");
    RunDirectory directory = RunDirectory.open(edited);
    Map<String, Object> config = directory.readJson("config.json");
    config.put("data", List.of(Map.of("file", "/", "bytes", 1, "sha256", "00")));
    Manifest.replace(directory, "config.json", config);
    Call.of("seal", edited).exits(0);
    Call.of("evaluate", edited).exits(0);
    Path output = temporary.resolve("nameless.txt");
    Call.of("predict", edited, texts, "--model=" + model, "-o", output).exits(0);
  }

  /** Nothing has its checksum. */
  @ParameterizedTest
  @ValueSource(strings = {"measured.json", "peer.json", "rounds.json", "predictions.jsonl"})
  void whatWasAddedToARunIsNotRead(String name) throws IOException {
    Path added = copy("without-" + name);
    Files.deleteIfExists(added.resolve(name));
    Call.of("seal", added).exits(0);
    Path file = added.resolve(name);
    if (Files.exists(run.resolve(name))) {
      Files.copy(run.resolve(name), file);
    } else {
      Files.writeString(file, "{}");
    }
    String[] said = {file + " was added", "prunepeft seal " + added};
    Call.of("predict", added, texts).exits(1, said);
    Call.of("report", added, "--output=" + temporary.resolve("never")).exits(1, said);
    Call.of("compare", run, added).exits(1, said);
    Call.of("search", "--resume", added).exits(1, said);
    Call.of("runs", added).exits(0).prints("damaged: " + file);
    Call.of("seal", added).exits(0);
    Call.of("predict", added, texts).exits(0).prints(predicted);
    Files.writeString(added.resolve("report.html"), "a user's");
    Call.of("predict", added, texts).exits(0).prints(predicted);
  }

  @Test
  void textsThatAreNoUtf8AreShownAsFarAsTheyAre() throws IOException {
    Path odd = copy("odd-summary");
    byte[] text = {'a', (byte) 0xff, 'b', '\n'};
    Files.write(odd.resolve("summary.md"), text);
    Call.of("seal", odd).exits(0);
    Call.of("search", "--resume", odd).exits(0).prints("a\uFFFDb");
    Call.of("export-mlflow", odd, "--output=" + temporary.resolve("odd-mlruns")).exits(0);
    Path study = Files.createDirectories(temporary.resolve("odd-study"));
    Files.write(study.resolve("study.md"), text);
    Files.move(odd, study.resolve("run"));
    Path page = temporary.resolve("odd.html");
    Call.of("report", study, "--output=" + page).exits(0);
    assertTrue(Files.readString(page).contains("a\uFFFDb"));
  }

  /** Changes a file in a way that its reader does not see, and makes the calls. */
  private static void assertRefused(Path file, Executable... calls) throws IOException {
    Files.writeString(file, Files.readString(file).replaceFirst("\\{", "{ "));
    for (Executable call : calls) {
      String message = assertThrows(RunDirectoryException.class, call).getMessage();
      assertTrue(message.startsWith(file + " is damaged or was changed"), message);
    }
  }

  @Test
  void callsThatReadOneFileOfARunRefuseADamagedOne() throws IOException {
    Path damaged = copy("damaged-file-by-file");
    Schema schema = RunSchema.of(damaged);
    assertRefused(
        damaged.resolve("predictions.jsonl"), () -> TestPredictions.read(damaged, schema));
    assertRefused(damaged.resolve("metrics.jsonl"), () -> LearningCurve.read(damaged));
    assertRefused(damaged.resolve("configuration.json"), () -> Setup.DEFAULT.sizedAs(damaged));
    assertRefused(
        damaged.resolve("config.json"),
        () -> RunSchema.of(damaged),
        () -> StrategyFile.layers(damaged));
  }

  @Test
  void callsThatReadPartOfARunRefuseADamagedOne() throws IOException {
    Path damaged = copy("damaged-settings");
    Path config = damaged.resolve("config.json");
    assertRefused(
        config,
        () -> ModuleChoice.ofRun(damaged),
        () -> ModuleChoice.ofFront(damaged, 1),
        () -> PrunePeft.dataChanges(damaged, Tasks.byName("wordnet")),
        () -> RunContents.of(damaged),
        () -> RunResult.read(damaged),
        () -> RunSchema.of(damaged));
    Call.of("search", "--config=" + damaged.resolve("config.yaml"), "--output=" + damaged + "-new")
        .exits(1, config + " is damaged or was changed");
    Path optioned = copy("damaged-options");
    Path options = optioned.resolve("config.yaml");
    Files.writeString(options, "# by hand\n", StandardOpenOption.APPEND);
    Path never = temporary.resolve("never");
    Call.of("search", "--config=" + options, "--output=" + never)
        .exits(1, options + " is damaged or was changed", "prunepeft seal " + optioned);
    Files.copy(run.resolve("config.yaml"), options, StandardCopyOption.REPLACE_EXISTING);
    Files.delete(optioned.resolve("config.json"));
    Call.of("search", "--config=" + options, "--output=" + never)
        .exits(1, optioned.resolve("config.json") + " is missing");
    assertTrue(Files.notExists(never));
    // Its page has no weights.
    Path lighter = copy("without-weights");
    Files.delete(lighter.resolve("adapter.safetensors"));
    Call.of("report", lighter, "--output=" + temporary.resolve("lighter.html")).exits(0);
  }

  /** By whatever path a command gets it; elsewhere it is what a person wrote. */
  @Test
  void aRunsStrategyThatIsNamedByItsFileIsRefusedIfItWasEdited() throws IOException {
    Path edited = copy("edited-strategy");
    Path strategy = edited.resolve("strategy.json");
    Files.writeString(strategy, "\n", StandardOpenOption.APPEND);
    String[] said = {
      strategy + " is damaged or was changed: it has ",
      ", but was written with ",
      "with SHA-256 ",
      "prunepeft seal " + edited
    };
    Path never = temporary.resolve("never");
    Call.of("search", "--strategy=" + strategy, "--model=" + model, "--output=" + never)
        .exits(1, said);
    assertTrue(Files.notExists(never));
    Call.of("strategy", "show", strategy).exits(1, said);
    Call.of("strategy", "show", Files.copy(strategy, edited.resolve("mine.json"))).exits(0);
    Path elsewhere = Files.createDirectories(temporary.resolve("strategies"));
    Call.of("strategy", "show", Files.copy(strategy, elsewhere.resolve("strategy.json"))).exits(0);
    Files.delete(edited.resolve("result.json"));
    Call.of("strategy", "show", strategy).exits(1, edited.resolve("result.json") + " is missing");
    Files.copy(run.resolve("result.json"), edited.resolve("result.json"));
    Call.of("seal", edited).exits(0);
    Call.of("strategy", "show", strategy).exits(0);
  }

  @Test
  void aStudyTakesNoDamagedRunIntoItsTables() throws IOException {
    Path file =
        Files.writeString(
            temporary.resolve("study.yaml"),
            """
            output: %s
            tasks: [wordnet]
            methods: {lora: {command: train, modules: lora}}
            seeds: [0]
            """
                .formatted(temporary.resolve("study")));
    Study study = StudyFile.read(file);
    StudyPlan plan = new StudyPlan(study);
    StudyDirectory directory = new StudyDirectory(study, plan);
    PlannedRun planned = plan.runs().get(0);
    directory.begins(planned);
    Path its = planned.directory(directory.root());
    copy(run, temporary.relativize(its).toString());
    Call.of("study", file, "--collect").exits(0).prints("1 of 1 runs");
    Path metrics = its.resolve("metrics.jsonl");
    byte[] whole = Files.readAllBytes(metrics);
    Files.writeString(metrics, "\n", StandardOpenOption.APPEND);
    Call.of("study", file, "--collect")
        .exits(1, metrics + " is damaged or was changed: it has ", "prunepeft seal " + its);
    Files.write(metrics, whole);
    Call.of("study", file, "--collect").exits(0).prints("1 of 1 runs");

    // What can't be read may be in order: it stays where it is.
    Path result = its.resolve("result.json");
    String written = Files.readString(result);
    Files.writeString(result, written.replaceFirst("\"format\" : 1", "\"format\" : 2"));
    String said = result + " has format 2";
    Call.of("study", file, "--collect").exits(1, said);
    Call.of("study", file).exits(1, said, "or makes the run anew when " + its + " is gone");
    Files.delete(result);
    Files.createDirectory(result);
    said = "can't read " + result;
    Call.of("study", file, "--collect").exits(1, said);
    Call.of("study", file).exits(1, said);
    Files.delete(result);
    assertEquals(StudyDirectory.State.DAMAGED, new StudyDirectory(study, plan).state(planned));
    Files.writeString(result, "{");
    assertEquals(StudyDirectory.State.DAMAGED, new StudyDirectory(study, plan).state(planned));
    Files.writeString(result, written);
    Call.of("study", file).exits(0).prints("1 of 1 runs");
    assertTrue(Files.notExists(directory.root().resolve("earlier")));
  }

  @Test
  void anEditedAlphaIsFoundAndTakenOnPurpose() throws IOException {
    Path edited = copy("edited");
    Path config = edited.resolve("config.json");
    String text = Files.readString(config);
    Files.writeString(config, text.replaceFirst("\"alpha\" : [0-9.]+", "\"alpha\" : 4096.0"));
    assertFalse(text.equals(Files.readString(config)));
    String alpha = Files.readString(config);
    Call.of("predict", edited, texts).exits(1, config.toString(), "prunepeft seal " + edited);
    Call.of("seal", edited, "--model=" + edited.resolve("no-model")).exits(2, "no-model");
    assertEquals(alpha, Files.readString(config));
    Call.of("seal", edited).exits(0);
    Call.of("predict", edited, texts).exits(0);
  }

  @Test
  void anEditedExportIsNotImported() throws IOException {
    Path edited = copy(export, "edited-export");
    Path config = edited.resolve("adapter_config.json");
    Files.writeString(config, Files.readString(config).replace("\"version\"", "\"Version\""));
    Path imported = temporary.resolve("imported");
    Call.of("import", edited, "--output=" + imported)
        .exits(1, config + " is damaged or was changed", "prunepeft seal " + edited);
    assertTrue(Files.notExists(imported));
  }

  @ParameterizedTest
  @ValueSource(strings = {"reversed vocabulary", "another model"})
  void anotherModelIsFound(String change) throws IOException {
    Path file =
        model.resolve(change.equals("another model") ? "model.safetensors" : "tokenizer.json");
    byte[] whole = Files.readAllBytes(file);
    try {
      if (change.equals("another model")) {
        Path other = temporary.resolve("other-model");
        RobertaDirectory.write(other, RobertaDirectory.LAYERS, TestSeed.random());
        Files.copy(other.resolve(file.getFileName()), file, StandardCopyOption.REPLACE_EXISTING);
      } else {
        reverseVocabulary(file);
      }
      String[] said = {file + " is not what the run", "--model", "seal " + run};
      Call.of("predict", run, texts).exits(1, said);
      Call.of("evaluate", run).exits(1, said);
    } finally {
      Files.write(file, whole);
    }
    assertEquals(predicted, Call.of("predict", run, texts).exits(0).out());
  }

  @Test
  void aChangeOfWhatALanguageModelWritesByIsFound() throws IOException {
    Path llama = temporary.resolve("llama");
    Path trained = writer(llama, "writer");
    String[] prompt = {"--prompt=z", "--max-new-tokens=4"};
    String before = Call.of("generate", trained, prompt).exits(0).out();
    for (String name : RunsToDamage.WRITING) {
      Path file = llama.resolve(name);
      String whole = Files.readString(file);
      Files.writeString(file, whole.replace("2}", "3}").replace("content", "role"));
      Call.of("generate", trained, prompt)
          .exits(1, file + " is not what the run", "--model", "seal " + trained);
      Files.delete(file);
      Call.of("generate", trained, prompt)
          .exits(1, "the model has no " + file.getFileName() + ", of which the run " + trained);
      Files.writeString(file, whole);
    }
    assertEquals(before, Call.of("generate", trained, prompt).exits(0).out());
    for (String name : RunsToDamage.UNREAD) {
      Files.writeString(llama.resolve(name), "{{ bos_token }}");
    }
    Files.delete(llama.resolve(RunsToDamage.UNREAD.get(0)));
    Files.writeString(llama.resolve("additional_chat_templates/more.jinja"), "");
    assertEquals(before, Call.of("generate", trained, prompt).exits(0).out());
    // A template that came later is none that the run was made with.
    Path tools = llama.resolve("additional_chat_templates/tool_use.jinja");
    Path ends = llama.resolve(RunsToDamage.WRITING.get(0));
    Files.delete(tools);
    Files.delete(ends);
    Call.of("seal", trained).exits(1, "the model has no tool_use.jinja", "--model " + llama);
    Call.of("seal", trained, "--model=" + llama).exits(0);
    Call.of("generate", trained, prompt).exits(0);
    Files.writeString(tools, "");
    Call.of("generate", trained, prompt).exits(0);
    Files.writeString(ends, "{\"eos_token_id\": 2}");
    Call.of("generate", trained, prompt).exits(1, ends + " was not there when the run " + trained);
  }

  @Test
  void aClassificationOnADecoderTakesNoneOfItIntoAccount() throws IOException {
    Path llama = temporary.resolve("llama-of-labels");
    String examples = "{\"text\": \"z\", \"label\": \"a\"}\n{\"text\": \"y\", \"label\": \"b\"}\n";
    Path trained = RunsToDamage.trained(llama, temporary.resolve("labels"), examples.repeat(20));
    String before = Call.of("predict", trained, "--text=z").exits(0).out();
    Files.writeString(llama.resolve(RunsToDamage.WRITING.get(0)), "{\"eos_token_id\": [2, 3]}");
    Files.writeString(llama.resolve(RunsToDamage.WRITING.get(1)), "{{ bos_token }}");
    Files.delete(llama.resolve(RunsToDamage.WRITING.get(2)));
    Call call = Call.of("predict", trained, "--text=z").exits(0);
    assertEquals(before, call.out());
    Path file = llama.resolve("tokenizer.json");
    Files.writeString(file, Files.readString(file) + "\n");
    Call.of("predict", trained, "--text=z").exits(1, file + " is not what the run");
  }

  /** Files of an export lie in a directory of their own too. */
  @Test
  void aSealedExportKeepsTheChecksumsOfItsAdditionalTemplates() throws IOException {
    Path trained = writer(temporary.resolve("llama-of-export"), "writer-of-export");
    Path written = temporary.resolve("export-of-writer");
    Call.of("export", trained, "--format=peft", "--output=" + written).exits(0);
    Path template = written.resolve("additional_chat_templates/tool_use.jinja");
    Path imported = temporary.resolve("imported-writer");
    for (String text : List.of("{{ bos_token }}", "{{ eos_token }}")) {
      Files.writeString(template, text);
      Call.of("import", written, "--output=" + imported)
          .exits(1, template + " is damaged or was changed", "prunepeft seal " + written);
      Call.of("seal", written).exits(0);
    }
    Call.of("import", written, "--output=" + imported).exits(0);
  }

  /** Its list of the model's files has neither generation_config.json nor chat templates. */
  @Test
  void aRunOfBeforeTheyHadChecksumsIsReadWithAWarningOfOtherEnds() throws IOException {
    Path llama = temporary.resolve("llama-of-old");
    Path trained = writer(llama, "old-writer");
    RunDirectory directory = RunDirectory.open(trained);
    Map<String, Object> config = directory.readJson("config.json");
    config.remove("model_files_of_writing");
    List<?> files = (List<?>) config.get("model_files");
    int all = files.size();
    files.removeIf(
        one ->
            RunsToDamage.WRITING.stream()
                .anyMatch(((Map<?, ?>) one).get("file").toString()::endsWith));
    assertEquals(all - RunsToDamage.WRITING.size(), files.size());
    Manifest.replace(directory, "config.json", config);
    Manifest.renew(directory, RunFiles.RESULT, RunFiles.beforeResult(directory));
    String[] prompt = {"--prompt=z", "--max-new-tokens=4"};
    Call.of("generate", trained, prompt).exits(0);
    Files.writeString(llama.resolve("generation_config.json"), "{\"eos_token_id\": [2, 3]}");
    Call.of("generate", trained, prompt).exits(0, "when the run " + trained + " was made, at [2]");
  }

  /** All tokens but the special ones change places. */
  private static void reverseVocabulary(Path file) throws IOException {
    ObjectNode tokenizer = (ObjectNode) JSON.readTree(file.toFile());
    ObjectNode vocabulary = (ObjectNode) tokenizer.at("/model/vocab");
    List<String> tokens = new ArrayList<>();
    vocabulary.fieldNames().forEachRemaining(tokens::add);
    List<String> ordinary = tokens.subList(5, tokens.size());
    Collections.reverse(ordinary);
    ObjectNode reversed = JSON.createObjectNode();
    tokens.forEach(token -> reversed.put(token, reversed.size()));
    ((ObjectNode) tokenizer.get("model")).set("vocab", reversed);
    JSON.writeValue(file.toFile(), tokenizer);
  }

  private static void train(Path model, Path output) {
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            "--lora-r=2",
            "--adapter-size=0",
            "--output=" + output)
        .exits(0);
  }

  @Test
  void aModelThatWasMovedIsNamed() throws IOException {
    Path own = copy(model, "own-model");
    Path trained = temporary.resolve("own-run");
    train(own, trained);
    String before = Call.of("predict", trained, texts).exits(0).out();
    Path moved = temporary.resolve("moved-model");
    Files.move(own, moved);
    String said = "the model directory " + own + " of the run " + trained + " is not there";
    Call.of("predict", trained, texts).exits(1, said, "--model DIR");
    Call.of("evaluate", trained).exits(1, said, "--model DIR");
    Call.of("seal", trained).exits(1, said, "--model DIR");
    Path adapters = temporary.resolve("adapters-of-moved");
    Call.of("export", trained, "--format=peft", "--output=" + adapters)
        .exits(0)
        .says("the export has no tokenizer: " + said, "--model DIR");
    Call.of("predict", trained, texts, "--model=" + temporary.resolve("nowhere"))
        .exits(2, "unknown model");
    Call.of("import", adapters, "--output=" + temporary.resolve("imported-without"))
        .exits(2, "is for the model '" + own + "', which is not here", "--model");
    assertEquals(before, Call.of("predict", trained, texts, "--model=" + moved).exits(0).out());
    Call.of("predict", trained, texts, "--model=" + model).exits(0);
    Path other = temporary.resolve("not-the-model");
    RobertaDirectory.write(other, RobertaDirectory.LAYERS, TestSeed.random());
    Call.of("predict", trained, texts, "--model=" + other).exits(1, "is not what the run");
    Path merged = temporary.resolve("merged");
    Call.of("export", trained, "--merge", "--output=" + merged, "--model=" + other)
        .exits(1, "is not what the run");
    assertTrue(Files.notExists(merged));
    Call.of("seal", trained, "--model=" + other).exits(0);
    Call.of("predict", trained, texts).exits(0);
    Call.of("seal", trained, "--model=" + moved).exits(0);
    assertEquals(before, Call.of("predict", trained, texts).exits(0).out());
  }

  @Test
  void aRunWhoseModelHasMovedIsResumedWhereItsOptionsNameIt() throws IOException {
    Path own = copy(model, "model-of-cut-off");
    Path cut = temporary.resolve("run-of-moved");
    train(own, cut);
    Files.delete(cut.resolve("result.json"));
    Files.writeString(cut.resolve(RunDirectory.INCOMPLETE), "interrupted\n");
    Call.of("runs", cut, "--format=csv").exits(0).prints("interrupted");
    Path moved = Files.move(own, temporary.resolve("model-of-cut-off.moved"));
    Path options = cut.resolve("config.yaml");
    String remedy = "change 'model' in " + options;
    Call.of("train", "--resume", cut)
        .exits(1, "the model directory " + own + " of the run " + cut + " is not there", remedy);
    Call.of("train", "--resume", cut, "--model=" + moved).exits(2, "leave out --model", remedy);
    Files.writeString(options, Files.readString(options).replace(own.toString(), moved.toString()));
    Call.of("train", "--resume", cut).exits(0);
  }

  @Test
  void aRunOfBeforeThereWereChecksumsIsReadWithAWarning() throws IOException {
    Path old = copy("old");
    for (String name : List.of("config.json", "result.json")) {
      Map<String, Object> object = RunDirectory.open(old).readJson(name);
      for (String member : List.of("files", "sha256", "model_files", "model_directory")) {
        object.remove(member);
      }
      JSON.writeValue(old.resolve(name).toFile(), object);
    }
    Call call = Call.of("predict", old, texts).exits(0);
    assertEquals(predicted, call.out());
  }

  @Test
  void aNaNAmongTheWeightsIsNamed() throws IOException {
    for (String name : List.of("adapter.safetensors", "head.safetensors")) {
      Path broken = copy("nan-" + name);
      Path file = broken.resolve(name);
      Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
      try (SafeTensors stored = SafeTensors.open(file)) {
        for (String tensor : stored.names()) {
          tensors.put(
              tensor, new SafeTensors.Tensor(stored.entry(tensor).shape(), stored.floats(tensor)));
        }
      }
      String first = tensors.keySet().iterator().next();
      tensors.get(first).values()[1] = Float.NaN;
      SafeTensors.write(file, tensors);
      Call.of("seal", broken).exits(0);
      String said = "tensor " + first + " of " + file + " has NaN";
      Call.of("predict", broken, texts).exits(1, said);
      Call.of("evaluate", broken).exits(1, said);
      Path output = temporary.resolve("never");
      Call.of("export", broken, "--format=adapters", "--output=" + output).exits(1, said);
      assertTrue(Files.notExists(output));
    }
  }

  @Test
  void aTrainingThatBreaksNamesTheStepTheExamplesAndTheModule() {
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            "--lora-r=2",
            "--learning-rate=1e30",
            "--warmup-ratio=0",
            "--output=" + temporary.resolve("broken"))
        .exits(1, " at step 2 of 2 (examples ", "encoder.layer.0", "--non-finite skip");
  }

  @Test
  void theRunIsWhole() throws IOException {
    byte[] result = Files.readAllBytes(run.resolve("result.json"));
    assertEquals(predicted, Call.of("predict", run, texts).exits(0).out());
    Call.of("seal", run).exits(0);
    assertArrayEquals(result, Files.readAllBytes(run.resolve("result.json")));
  }

  /** Of a run, its model, an export, a model in shards: a link that comes from elsewhere. */
  @ParameterizedTest
  @EnumSource
  void whatHasNoEndIsRefusedByItsName(Endless endless) throws IOException {
    Path copy = copy(run, "endless-" + endless);
    Path exported = copy(export, "endless-export-" + endless);
    List<Path> files =
        List.of(
            copy.resolve("predictions.jsonl"),
            copy.resolve("config.json"),
            copy.resolve("result.json"),
            copy.resolve("head.safetensors"),
            copy.resolve("INCOMPLETE"),
            model.resolve("config.json"),
            model.resolve("model.safetensors"),
            model.resolve("tokenizer.json"));
    for (Path file : files) {
      assertNoEnd(file, endless.read(file, () -> Call.of("predict", copy, texts)));
    }
    for (String name : List.of("prunepeft.json", "adapter_config.json", "adapter.safetensors")) {
      Path file = exported.resolve(name);
      Path imported = temporary.resolve("no-import");
      assertNoEnd(
          file, endless.read(file, () -> Call.of("import", exported, "--output=" + imported)));
      assertTrue(Files.notExists(imported));
    }
    Path index = model.resolve("model.safetensors.index.json");
    Path weights = model.resolve("model.safetensors");
    Path aside = Files.move(weights, model.resolveSibling("aside.safetensors"));
    try {
      assertNoEnd(index, endless.read(index, () -> Call.of("predict", copy, texts)));
    } finally {
      Files.move(aside, weights);
    }
    Call.of("predict", copy, texts).exits(0).prints(predicted);
  }

  private static void assertNoEnd(Path file, Call refused) {
    refused.exits(1, file + " is a device, a FIFO or a socket");
  }

  /** A head or an adapter that was put beside those of the export would be read in their place. */
  @ParameterizedTest
  @ValueSource(strings = {"head.safetensors", "adapter_model.safetensors", "adapter.gguf"})
  void whatWasAddedToAnExportIsNotRead(String name) throws IOException {
    Path added = copy(export, "added-" + name);
    Path file = Files.copy(run.resolve("head.safetensors"), added.resolve(name));
    Path imported = temporary.resolve("imported-" + name);
    Call.of("import", added, "--output=" + imported)
        .exits(1, file + " was added", "prunepeft seal " + added);
    assertTrue(Files.notExists(imported));
    Files.writeString(added.resolve("notes.txt"), "a user's");
    Files.delete(file);
    Call.of("import", added, "--output=" + imported).exits(0);
  }

  /** From elsewhere, with links to what is the user's, and with what a user has put there. */
  @Test
  void aResumptionOfACompleteRunChangesNothingElsewhere() throws IOException {
    Path complete = copy(run, "linked");
    Path elsewhere = Files.createDirectory(temporary.resolve("elsewhere"));
    Path mine = Files.writeString(elsewhere.resolve("000001.json"), "mine");
    Path checkpoints = complete.resolve(CheckpointDirectory.NAME);
    Files.createSymbolicLink(checkpoints, elsewhere);
    Call.of("search", "--resume", complete).exits(1, checkpoints + " is a symbolic link");
    assertEquals("mine", Files.readString(mine));
    Files.delete(checkpoints);
    Files.createDirectory(checkpoints);
    Path copied = Files.writeString(checkpoints.resolve("copy.txt"), "mine");
    Files.writeString(checkpoints.resolve("000001.json"), "left");
    Call.of("search", "--resume", complete).exits(0);
    assertEquals(List.of(copied), RunsToDamage.files(checkpoints));
  }

  /** One that was cut off: before the model is read its metrics are cut off too. */
  @ParameterizedTest
  @ValueSource(strings = {"metrics.jsonl", "INCOMPLETE", "checkpoints"})
  void aResumptionOfACutOffRunChangesNothingElsewhere(String name) throws IOException {
    Path cut = RunsToDamage.killed(run, temporary.resolve("linked-" + name));
    Path elsewhere = temporary.resolve("elsewhere-" + name);
    Path mine = elsewhere;
    if (name.equals("checkpoints")) {
      mine = Files.createDirectory(elsewhere).resolve("000001.safetensors");
    }
    Files.writeString(mine, "failed: mine\n");
    Path link = cut.resolve(name);
    Files.deleteIfExists(link);
    Files.createSymbolicLink(link, elsewhere);
    Call.of("search", "--resume", cut).exits(1, link + " is a symbolic link");
    assertEquals("failed: mine\n", Files.readString(mine));
  }
}
