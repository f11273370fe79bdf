package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.FixedSeed;

/** What is wrong with files and disks is reported in one line, and nothing is left half-written. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class BadInputTest {
  @TempDir static Path shared;
  @TempDir Path temporary;
  private static Path model;
  private static Path trained;

  @BeforeAll
  static void train() throws IOException {
    model = Small.model(shared);
    Path file = Files.writeString(shared.resolve("good.csv"), table(40, BadInputTest::label));
    trained = shared.resolve("trained");
    Call.of(arguments("train", file, trained)).exits(0);
  }

  /**
   * {@code ~} is a line feed, {@code \xHH} a byte. The rows are those of a good file, in which the
   * third, on line 4, is replaced, or the whole content if the damage begins with {@code =}.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "csv | = | 1 | is empty",
        "csv | =text,label~ | 1 | has no rows",
        "csv | =txt,label~a,b~ | 2 | unknown column 'text'; did you mean 'txt'?",
        "csv | =text,label~a,x~b,x~c,x~ | 1 | all 3 labels, column 'label', are 'x'",
        "csv | only a text | 1 | line 4: a row must have as many columns as the first, 2, got 1",
        "csv | a,b,c | 1 | line 4: a row must have as many columns as the first, 2, got 3",
        "csv | a, | 1 | line 4: the label, column 'label', is empty",
        "csv | a,rare | 1 | label 'rare' has only 1 example",
        "csv | nul \\x00,good | 1 | line 4: the text has a NUL",
        "csv | caf\\xE9,good | 1 | line 4: the text is not UTF-8 (byte 0xE9)",
        "csv | half \\xED\\xA0\\xBD,good | 1 | line 4: the text is not UTF-8 (byte 0xED)",
        "csv | \"open,good | 1 | the row is not understood as CSV: Missing closing quote",
        "jsonl | ={\"text\": \"half \\ud83d\", \"label\": 1}~ | 1 | half a surrogate pair, \\ud83d,",
        "jsonl | ={\"text\": \"a\", \"label\": 1}~{\"text\": \"a\"}~ | 2 | line 2: unknown column 'label'",
        "jsonl | =not JSON~ | 1 | line 1: a JSON object is needed",
      })
  void damagedTrainingFileIsRefusedByEveryCommandThatTrains(
      String ending, String damage, int exit, String message) throws IOException {
    Path file = temporary.resolve("bad." + ending);
    Files.write(file, bytes(damage));
    for (String command : List.of("train", "search")) {
      Path output = temporary.resolve("runs").resolve(command);
      Call.of(arguments(command, file, output)).exits(exit, message);
      assertEquals(List.of("bad." + ending), names(temporary));
    }
  }

  @Test
  void absentFilesAreNamedWhicheverPartTheyAre() throws IOException {
    Path good = shared.resolve("good.csv");
    Path absent = temporary.resolve("absent.csv");
    for (String part : List.of("validation", "test")) {
      Call.of(arguments("train", good, temporary.resolve("run"), "--" + part + "-file=" + absent))
          .exits(1, "can't read " + absent + ": it does not exist");
    }
    Call.of(arguments("train", absent, temporary.resolve("run")))
        .exits(1, "can't read " + absent + ": it does not exist");
    assertEquals(List.of(), names(temporary));
  }

  @Test
  void labelThatTheTrainingDataLacksIsNamedWithItsLine() throws IOException {
    Path other = Files.writeString(temporary.resolve("other.csv"), "text,label\na,good\nb,godo\n");
    Path good = shared.resolve("good.csv");
    String message =
        "other.csv, line 3: the training data has no such label: unknown label 'godo'; did you mean good?";
    Call.of(arguments("search", good, temporary.resolve("run"), "--validation-file=" + other))
        .exits(1, message);
    Call.of("evaluate", trained, "--test-file=" + other).exits(1, message);
    assertEquals(List.of("other.csv"), names(temporary));
    // A prediction needs no label.
    Call.of("predict", trained, other).exits(0);
  }

  @Test
  void predictionThatFailsLateLeavesTheEarlierFile() throws IOException {
    Path texts = temporary.resolve("texts.csv");
    Files.writeString(texts, "text\n" + "fine\n".repeat(2000) + "one,two\n");
    Path output = Files.writeString(temporary.resolve("labels.tsv"), "earlier");
    Call.of("predict", trained, texts, "-o", output)
        .exits(1, "texts.csv, line 2002: a row must have");
    assertEquals("earlier", Files.readString(output));
    assertEquals(List.of("labels.tsv", "texts.csv"), names(temporary));
  }

  @Test
  void textOfTenMegabytesIsTrainedOnAndPredicted() throws IOException {
    String text = "the long text ".repeat(10 * 1024 * 1024 / 14);
    Path file = temporary.resolve("long.csv");
    Files.writeString(file, table(30, BadInputTest::label) + text + ",good\n");
    Path run = temporary.resolve("run");
    Call.of(arguments("train", file, run)).exits(0);
    Path lines = Files.writeString(temporary.resolve("long.txt"), text + "\nshort\n");
    Call call = Call.of("predict", run, lines).exits(0);
    assertEquals(3, call.out().lines().count());
  }

  @ParameterizedTest
  @ValueSource(strings = {"train", "search"})
  void outputThatCannotBeWrittenIsNamedBeforeTheLongWork(String command) {
    Path output = Path.of("/proc/prunepeft-run");
    Call call = Call.of(arguments(command, shared.resolve("good.csv"), output)).exits(1);
    call.says("can't make the directory " + output);
    assertFalse(call.err().contains("tokenise"), call.err());
  }

  @Test
  void predictionsThatCannotBeWrittenAreRefused() {
    Path texts = shared.resolve("good.csv");
    Call.of("predict", trained, texts, "-o", "/proc/labels.tsv")
        .exits(1, "can't write /proc/labels.tsv");
  }

  /** A limit on the size of files, which writes run into as on a full disk. */
  @Test
  void weightsThatDoNotFitOnTheDiskLeaveARunThatSaysItIsIncomplete() throws Exception {
    Path run = temporary.resolve("run");
    String[] arguments =
        arguments("train", shared.resolve("good.csv"), run, "--lora-r=64", "--adapter-size=64");
    List<String> limited =
        new ArrayList<>(List.of("bash", "-c", "ulimit -f 40; exec \"$@\"", "limited"));
    String classPath = System.getProperty("java.class.path");
    limited.addAll(Child.command(List.of("-XX:-UsePerfData"), classPath, List.of(arguments)));
    ProcessBuilder builder = new ProcessBuilder(limited);
    // The system's own texts are in the user's language.
    builder.environment().put("LC_ALL", "C.UTF-8");
    Call call = Child.call(builder).exits(1, ": File too large");
    // A slow machine comes to a checkpoint before that.
    assertTrue(
        call.err().contains("write " + run.resolve("adapter.safetensors"))
            || call.err().contains(run.resolve("checkpoints") + ": File too large"),
        call.err());
    assertTrue(Files.readString(run.resolve(RunDirectory.INCOMPLETE)).contains("failed: "));
    List<String> left = names(run);
    assertFalse(left.contains("adapter.safetensors"), left.toString());
    assertFalse(left.contains("result.json"), left.toString());
    assertTrue(left.stream().noneMatch(name -> name.endsWith(".partial")), left.toString());
    Call.of("predict", run, shared.resolve("good.csv").toString())
        .exits(1, "has no complete run: failed: ");
  }

  @Test
  void runDirectoryThatExistsIsLeftAlone() throws IOException {
    List<String> before = names(trained);
    String result = Files.readString(trained.resolve("result.json"));
    Call.of(arguments("search", shared.resolve("good.csv"), trained))
        .exits(1, trained + " is not empty; name a new directory");
    assertEquals(before, names(trained));
    assertEquals(result, Files.readString(trained.resolve("result.json")));
  }

  @ParameterizedTest
  @CsvSource({
    "train_fil, train_file",
    "text_colum, text_column",
    "sentence1_keys, sentence1_key",
    "metrics, metric"
  })
  void unknownKeyOfAConfigFileGetsTheNearest(String key, String nearest) throws IOException {
    Path config = Files.writeString(temporary.resolve("run.yaml"), key + ": a.csv\n");
    Path run = temporary.resolve("run");
    Call.of("search", "--config=" + config, "--output=" + run)
        .exits(2, "unknown key '" + key + "'; did you mean", "did you mean " + nearest + "?");
    assertFalse(Files.exists(run));
  }

  private static String label(int i) {
    return i % 2 == 0 ? "good" : "bad";
  }

  private static String table(int rows, IntFunction<String> label) {
    return IntStream.range(0, rows)
        .mapToObj(i -> "the thing %d,%s\n".formatted(i, label.apply(i)))
        .collect(Collectors.joining("", "text,label\n", ""));
  }

  private static byte[] bytes(String damage) {
    String whole = damage.startsWith("=") ? damage.substring(1) : null;
    if (whole == null) {
      String[] lines = table(40, BadInputTest::label).split("\n");
      lines[3] = damage;
      whole = String.join("~", lines) + "~";
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < whole.length(); i++) {
      if (whole.startsWith("\\x", i)) {
        text.append((char) Integer.parseInt(whole.substring(i + 2, i + 4), 16));
        i += 3;
      } else {
        text.append(whole.charAt(i) == '~' ? '\n' : whole.charAt(i));
      }
    }
    return text.toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  private static String[] arguments(String command, Path file, Path output, String... more) {
    Stream<String> common =
        Stream.of(
            command,
            "--model=" + model,
            "--train-file=" + file,
            "--output=" + output,
            "--epochs=1",
            "--max-seq-length=16",
            "--threads=1");
    List<String> small =
        Stream.of(more).anyMatch(option -> option.startsWith("--lora-r"))
            ? List.of()
            : List.of("--lora-r=2", "--adapter-size=2");
    return Stream.of(common, small.stream(), Stream.of(more))
        .flatMap(stream -> stream)
        .toArray(String[]::new);
  }

  private static List<String> names(Path directory) throws IOException {
    return List.copyOf(Small.names(directory));
  }
}
