package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.AdapterImport;
import org.prunepeft.PrunePeft;
import org.prunepeft.RunContents;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Metric;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.TrainingSettings;

/**
 * Each bit of a run's files, or of its model's, that has another value is found when the run is
 * read.
 */
@Timeout(3600)
class FlippedBitTest {
  /** Of each file; {@code java/flip-bits} sets it. */
  private static final int FLIPS = Integer.getInteger("prunepeft.flips", 5);

  /** Of those that were not found, how many a message has. */
  private static final int SHOWN = 10;

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Of a study, what a page shows. */
  private static final List<String> STUDY =
      List.of("study.json", "costs.json", "study.md", "study.csv", "costs.md", "costs.csv");

  @TempDir static Path temporary;
  private static Path model;
  private static Path run;
  private static Path export;

  /** A search that measured subsets, and one that tried some. */
  private static Path measured;

  private static Path tried;

  @BeforeAll
  static void write() throws IOException {
    RunsToDamage runs = RunsToDamage.get();
    model = runs.model;
    run = runs.run;
    export = runs.export;
    if (measured == null) {
      measured =
          runs.search(
              "measured", "--supernet-examples=32", "--measured-examples=32", "--subsets=24");
      tried = runs.search("bayesian", "--trials=2", "--search-examples=32");
    }
  }

  @Test
  void aFlippedBitInAnyFileOfARunOrItsModelIsFound() throws IOException {
    List<Path> files = new ArrayList<>(RunsToDamage.files(run));
    files.addAll(RunsToDamage.files(model));
    flip(files, () -> TrainedModel.load(run).close());
  }

  @Test
  void aFlippedBitInWhatASearchMeasuredOrTriedIsFound() throws IOException {
    flip(List.of(measured.resolve("measured.json")), () -> ModuleChoice.ofFront(measured, 1));
    flip(
        List.of(tried.resolve("peer.json"), tried.resolve("result.json")),
        () -> RunContents.of(tried));
  }

  @Test
  void aFlippedBitInAnExportIsFound() throws IOException {
    flipExport(export);
  }

  private static void flipExport(Path written) throws IOException {
    Path imported = temporary.resolve("from-flipped");
    flip(
        RunsToDamage.files(written),
        () -> {
          AdapterImport.read(written, new AdapterImport.Options(null, null, null, false), imported);
          Directories.delete(imported);
        });
    assertTrue(Files.notExists(imported));
  }

  @Test
  void aFlippedBitInWhatALanguageModelWritesByOrInItsExportsIsFound() throws IOException {
    Path llama = temporary.resolve("llama-to-flip");
    Path trained = RunsToDamage.writer(llama, temporary.resolve("writer-to-flip"));
    List<Path> files = new ArrayList<>(RunsToDamage.files(trained));
    RunsToDamage.WRITING.forEach(name -> files.add(llama.resolve(name)));
    flip(files, () -> TrainedModel.load(trained).close());
    for (String format : List.of("peft", "gguf")) {
      Path written = temporary.resolve("writer-as-" + format);
      Call.of("export", trained, "--format=" + format, "--output=" + written).exits(0);
      flipExport(written);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "seeds.json | --modules=head --seeds=1,2",
        "budgets.json | --modules=random --keep=0.5,0.25"
      })
  void aFlippedBitInWhatIsAboveSeveralSeedsOrBudgetsIsFound(String together, String options)
      throws IOException {
    Path above = Files.createTempDirectory(temporary, "several-to-flip");
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            options.split(" "),
            "--output=" + above)
        .exits(0);
    List<Path> files =
        Stream.of("config.yaml", together, "summary.md").map(above::resolve).sorted().toList();
    assertEquals(files, RunsToDamage.files(above));
    Setup resumed =
        Setup.DEFAULT.with().output(above).checkpoints(new Checkpointing(0, true)).build();
    flip(files, () -> assertTrue(PrunePeft.isOver(resumed)));
  }

  @Test
  void aFlippedBitInAFullyFineTunedEncoderIsFound() throws IOException {
    Path trained = temporary.resolve("full-to-flip");
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            "--modules=full",
            "--epochs=1",
            "--output=" + trained)
        .exits(0);
    flip(List.of(trained.resolve("encoder.safetensors")), () -> TrainedModel.load(trained).close());
  }

  @Test
  void aFlippedBitInWhatAStudySaysIsFound() throws IOException {
    Path study = Files.createTempDirectory(temporary, "study");
    Path file =
        Files.writeString(
            Files.createTempFile(temporary, "study", ".yaml"),
            """
            output: %s
            tasks: [wordnet]
            methods:
              search: {command: search}
              random: {command: train, modules: random}
            budgets: [0.5]
            seeds: [0, 1]
            """
                .formatted(study));
    MadeStudy.make(
        file,
        TaskKind.CLASSIFICATION,
        List.of(Metric.ACCURACY),
        run -> Optional.of(new MadeStudy.Given(0.5 + 0.1 * run.seed())));
    Call.of("study", file, "--collect").exits(0);
    flip(
        STUDY.stream().map(study::resolve).toList(),
        () -> {
          StudyJson.read(study);
          StudyJson.tables(study);
        });
  }

  /** How a run of three epochs is set up. */
  private static Setup setup(Path output, boolean resume) {
    return Setup.builder()
        .model(model.toString())
        .sizes(new SplitSizes(48, 24, 16))
        .lora(LoraConfig.of(2, 4, 0.1, List.of("query", "value")))
        .training(TrainingSettings.builder().maxLength(24).batchSize(4).build())
        .epochs(3)
        .threads(1)
        .output(output)
        .checkpoints(new Checkpointing(2, resume))
        .build();
  }

  /** Leaves a run that was cut off, after its ninth step. */
  private static Path cutOff(String name) {
    Path cut = temporary.resolve(name);
    ProgressListener ending =
        new ProgressListener() {
          @Override
          public void metrics(String training, long step, Map<String, Double> values) {
            if (step == 9) {
              throw new IllegalStateException("it ends here");
            }
          }
        };
    assertThrows(
        IllegalStateException.class,
        () -> PrunePeft.train(setup(cut, false), ModuleChoice.supernet(), ending));
    return cut;
  }

  /** Of one that is damaged the one before is taken, and it is said. */
  @Test
  void aFlippedBitInACheckpointIsFound() throws IOException {
    Path cut = cutOff("cut-off");
    List<Path> files = RunsToDamage.files(cut.resolve(CheckpointDirectory.NAME));
    assertEquals(4, files.size());
    CheckpointDirectory checkpoints = new CheckpointDirectory(RunDirectory.look(cut));
    flip(
        files.subList(2, 4),
        () -> {
          try (CheckpointDirectory.Saved saved = checkpoints.newest().orElseThrow()) {
            if (!saved.damaged().isEmpty()) {
              throw new FormatException(saved.damaged().toString());
            }
          }
        });
  }

  /** What was appended after the last checkpoint is written anew, and left out here. */
  @Test
  void aFlippedBitInWhatACutOffRunGoesOnWithIsFound() throws IOException {
    Path cut = cutOff("cut-off-metrics");
    Path metrics = cut.resolve("metrics.jsonl");
    try (var saved = new CheckpointDirectory(RunDirectory.look(cut)).newest().orElseThrow()) {
      JsonNode kept = JSON.valueToTree(saved.values()).at("/runs/run/metrics/length");
      Files.write(metrics, Arrays.copyOf(Files.readAllBytes(metrics), kept.intValue()));
    }
    flip(
        List.of(cut.resolve("config.json")),
        () -> RunDirectory.look(cut).readJson(RunFiles.CONFIG));
    flip(
        List.of(metrics),
        () -> PrunePeft.train(setup(cut, true), ModuleChoice.supernet(), ProgressListener.NONE));
    RunDirectory.open(cut);
  }

  /** A search that was killed once its choice was made, which has no checksums of files. */
  @Test
  void aFlippedBitInTheChoiceOfASearchThatWasKilledIsFound() throws IOException {
    Path killed = RunsToDamage.killed(run, temporary.resolve("killed"));
    flip(
        List.of(killed.resolve("configuration.json"), killed.resolve("config.json")),
        () -> ModuleChoice.ofRun(killed));
    Path front = RunsToDamage.killed(measured, temporary.resolve("killed-measured"));
    flip(List.of(front.resolve("measured.json")), () -> ModuleChoice.ofFront(front, 1));
    // Of an earlier version, or by hand.
    Path file = killed.resolve("configuration.json");
    String text = Files.readString(file);
    Files.writeString(file, text.replaceFirst("\"parameters\" : [0-9]+", "\"parameters\" : 1"));
    String message =
        assertThrows(RunDirectoryException.class, () -> ModuleChoice.ofRun(killed)).getMessage();
    assertTrue(message.startsWith(file + " is damaged or was changed"), message);
    assertTrue(message.endsWith("remove its member 'sha256'"), message);
    Files.writeString(file, text.replaceFirst(",\\s*\"sha256\" : \"[0-9a-f]{64}\"", ""));
    assertFalse(text.equals(Files.readString(file)));
    ModuleChoice.ofRun(killed);
  }

  @Test
  void aFlipThatIsNotFoundIsNamed() throws IOException {
    Path file = Files.write(temporary.resolve("a.json"), new byte[] {'{', '}'});
    String unread =
        assertThrows(AssertionError.class, () -> flip(List.of(file), () -> {})).getMessage();
    assertTrue(
        unread.startsWith(
            "0 of %d flipped bits were found in %s; not found: bit ".formatted(FLIPS, file)),
        unread);
    assertTrue(
        unread.matches(
            "(?s).*: bit [0-7] of byte [01], 0x7[bd] to 0x\\p{XDigit}{2}: it was read.*"),
        unread);
    Executable unnamed =
        () -> {
          throw new FormatException("something is damaged");
        };
    String message =
        assertThrows(AssertionError.class, () -> flip(List.of(file), unnamed)).getMessage();
    assertTrue(message.contains(": it was refused without " + file), message);
    assertTrue(message.contains(": something is damaged"), message);
    Executable failing =
        () -> {
          throw new IllegalStateException("it failed");
        };
    AssertionError failed = assertThrows(AssertionError.class, () -> flip(List.of(file), failing));
    assertTrue(
        failed.getMessage().contains(": the reader failed: java.lang.IllegalState"),
        failed::getMessage);
    assertEquals("it failed", failed.getCause().getMessage());
    assertArrayEquals(new byte[] {'{', '}'}, Files.readAllBytes(file));
  }

  /**
   * How a reader took a damaged file otherwise than it is to.
   *
   * @param by null: it read it
   */
  private record Taken(String how, Throwable by) {}

  /** Reads a damaged file; empty if it is refused by its name, or says what it said. */
  private static Optional<Taken> taken(Path file, byte[] whole, Executable reading)
      throws IOException {
    try {
      reading.execute();
    } catch (RunDirectoryException | DataException | FormatException | UncheckedIOException e) {
      if (e instanceof UncheckedIOException && !(e.getCause() instanceof FormatException)) {
        return Optional.of(new Taken("the reader failed: " + e, e));
      }
      String named = named(file);
      return e.getMessage().contains(named)
          ? Optional.empty()
          : Optional.of(
              new Taken("it was refused without %s: %s".formatted(named, e.getMessage()), e));
    } catch (Throwable e) {
      // Another failure is none that tells what to do.
      return Optional.of(new Taken("the reader failed: " + e, e));
    }
    return readsAsBefore(file, whole)
        ? Optional.empty()
        : Optional.of(new Taken("it was read", null));
  }

  private static void flip(List<Path> files, Executable reading) throws IOException {
    Random random = TestSeed.random();
    for (Path file : files) {
      byte[] whole = Files.readAllBytes(file);
      List<String> missed = new ArrayList<>();
      Throwable first = null;
      try {
        for (int i = 0; i < FLIPS; i++) {
          byte[] flipped = whole.clone();
          int bit = random.nextInt(whole.length * 8);
          int at = bit / 8;
          flipped[at] ^= (byte) (1 << bit % 8);
          Files.write(file, flipped);
          Optional<Taken> taken = taken(file, whole, reading);
          if (taken.isPresent()) {
            missed.add(
                "bit %d of byte %d, 0x%02x to 0x%02x: %s"
                    .formatted(bit % 8, at, whole[at], flipped[at], taken.get().how()));
            first = first == null ? taken.get().by() : first;
          }
        }
      } finally {
        Files.write(file, whole);
      }
      String found = "%d of %d".formatted(FLIPS - missed.size(), FLIPS);
      if (!missed.isEmpty()) {
        String shown = String.join("; ", missed.subList(0, Math.min(SHOWN, missed.size())));
        throw new AssertionError(
            found + " flipped bits were found in " + file + "; not found: " + shown, first);
      }
      System.out.printf("%s: %s%n", file, found);
    }
    assertDoesNotThrow(reading);
  }

  /** Of what has the checksums the other files' checksums count. */
  private static boolean hasChecksums(Path file) {
    return file.endsWith("result.json") || file.endsWith("prunepeft.json");
  }

  private static boolean isOfCheckpoint(Path file) {
    return file.getParent().endsWith(CheckpointDirectory.NAME);
  }

  /**
   * What a refusal names: the damaged file; where it has the others' checksums one beside it, and
   * the model where that has other sizes than the run's.
   */
  private static String named(Path file) {
    boolean config = file.equals(model.resolve("config.json"));
    return (config || hasChecksums(file) ? file.getParent() : file).toString();
  }

  /** Whether a run is not complete, so that its files have no checksums but their own. */
  private static boolean isOfCutOffRun(Path file) {
    return Files.exists(file.resolveSibling(RunDirectory.INCOMPLETE));
  }

  /** Whether a file has no checksum but its own. */
  private static boolean isAlone(Path file) {
    return isOfCutOffRun(file)
        || file.endsWith("seeds.json")
        || file.endsWith("budgets.json")
        || STUDY.contains(file.getFileName().toString());
  }

  /** Not how numbers are spelt there: 1e-5, 1E-5. */
  private static boolean readsAsBefore(Path file, byte[] whole) throws IOException {
    boolean json = hasChecksums(file) || isOfCheckpoint(file) || isAlone(file);
    if (!json || !file.toString().endsWith(".json")) {
      return false;
    }
    try {
      JsonNode damaged = JSON.readTree(file.toFile());
      return content(file, JSON.readTree(whole)).equals(content(file, damaged));
    } catch (JsonProcessingException e) {
      return false;
    }
  }

  /** Of a file that is alone without its checksum, by whatever name. */
  private static JsonNode content(Path file, JsonNode object) {
    if (isAlone(file)) {
      List<String> names = new ArrayList<>();
      object.fieldNames().forEachRemaining(names::add);
      names.stream()
          .filter(name -> object.get(name).asText().matches("[0-9a-f]{64}"))
          .forEach(((ObjectNode) object)::remove);
    }
    return object;
  }
}
