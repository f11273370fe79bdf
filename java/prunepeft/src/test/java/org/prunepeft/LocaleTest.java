package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.BytesSource;
import org.prunepeft.io.SafeTensors;

/** Files are the same whatever the machine's locale and line separator. */
class LocaleTest {
  /** Of the modules. */
  private static final Path MODULES =
      Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();

  /** Literals, text blocks too, joined by plus. */
  private static final String TEXT =
      "(?:(?:\"\"\"[^\"\\\\]*+(?:(?:\\\\[\\s\\S]|\"(?!\"\"))[^\"\\\\]*+)*+\"\"\""
          + "|\"(?:[^\"\\\\\\n]|\\\\.)*+\")\\s*\\+?\\s*)++";

  /** Formats without a locale of their own. */
  private static final Pattern FORMAT =
      Pattern.compile("(" + TEXT + ")\\)?\\s*\\.formatted\\(|String\\.format\\(\\s*(" + TEXT + ")");

  /** The same, and what prints. */
  private static final Pattern PRINT = Pattern.compile(FORMAT + "|printf\\(\\s*(" + TEXT + ")");

  /** What differs between locales whose digits are 0 to 9, and numbers with zeros or blanks. */
  private static final Pattern FIXED =
      Pattern.compile("(?<!%)%(\\d+\\$)?([-#+ 0,(]*\\d*(\\.\\d+)?[eEfgG]|[-#+ 0,(]*[,0-9]\\d*d)");

  /** Any number. */
  private static final Pattern NUMBER =
      Pattern.compile("(?<!%)%(\\d+\\$)?[-#+ 0,(]*\\d*(\\.\\d+)?[deEfgG]");

  /** Those whose texts are files, names in files or names of files. */
  private static final Set<String> WRITERS =
      Set.of(
          "BudgetRuns",
          "ModelCard",
          "SeedRuns",
          "data/table/ParquetTable",
          "files/CheckpointDirectory",
          "files/RunMark",
          "formats/AdapterHubFormat",
          "formats/GgufFormat",
          "io/AtomicFile",
          "report/TensorBoard",
          "run/Lead",
          "run/MeasuredSummary",
          "run/MemoryPlan",
          "run/PeerSummary",
          "run/Summary",
          "run/TrainingNames",
          "template/Dates",
          "template/Numbers");

  private final Locale before = Locale.getDefault(Locale.Category.FORMAT);

  @TempDir Path directory;

  @AfterEach
  void restore() {
    Locale.setDefault(Locale.Category.FORMAT, before);
  }

  private static List<Path> sources(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      return files.filter(f -> f.toString().endsWith(".java")).sorted().toList();
    }
  }

  /** Formats without a locale whose text has such a number. */
  private static Stream<String> found(String name, String text, Pattern formats, Pattern number) {
    return formats
        .matcher(text)
        .results()
        .filter(
            match ->
                IntStream.rangeClosed(1, match.groupCount())
                    .mapToObj(match::group)
                    .anyMatch(format -> format != null && number.matcher(format).find()))
        .map(match -> name + ": " + match.group());
  }

  @Test
  void numbersAndLinesAreWrittenTheSameEverywhere() throws IOException {
    List<String> found = new ArrayList<>();
    int writers = 0;
    Path root = MODULES.resolve("prunepeft/src/main/java/org/prunepeft");
    for (Path file : sources(root)) {
      String name = root.relativize(file).toString().replace('\\', '/').replace(".java", "");
      boolean writer = WRITERS.contains(name);
      writers += writer ? 1 : 0;
      String text = Files.readString(file);
      if (writer && text.contains("%n")) {
        found.add(name + ": %n");
      }
      found(name, text, PRINT, writer ? NUMBER : FIXED).forEach(found::add);
    }
    assertEquals(List.of(), found, "write String.format(Locale.ROOT, ...) and \\n");
    assertEquals(WRITERS.size(), writers);
  }

  /** Tests compare what is printed, and write data. */
  @Test
  void programsAndTheirTestsPrintTheSameEverywhere() throws IOException {
    List<String> found = new ArrayList<>();
    for (String module : List.of("cli", "examples", "../benchmarks")) {
      Path root = MODULES.resolve(module).resolve("src");
      for (Path file : sources(root)) {
        boolean test = file.startsWith(root.resolve("test"));
        found(file.getFileName().toString(), Files.readString(file), test ? FORMAT : PRINT, FIXED)
            .forEach(found::add);
      }
    }
    assertEquals(List.of(), found, "name Locale.ROOT as the first argument");
  }

  @Test
  void formatsOfEachFormAreFound() {
    String block = "\"\"\"\n  a \"quoted\" \\\" %.2f\n  \"\"\"";
    for (String format :
        List.of(
            "\"%.2f\".formatted(a)",
            "(\"a\"\n + \"%.2f\")\n .formatted(a)",
            "String.format(\"a\" + \"%,d\", a)",
            "System.out.printf(\n \"%5d%n\", a)",
            block + ".formatted(a)",
            "printf(" + block + ", a)")) {
      assertEquals(1, found("", "x = " + format + ";", PRINT, FIXED).count(), format);
    }
    assertEquals(0, found("", "printf(Locale.ROOT, \"%.2f\", a)", PRINT, FIXED).count());
    assertEquals(0, found("", "printf(\"%d %s %%\", a)", PRINT, FIXED).count());
  }

  @Test
  void checkpointIsFoundAgainWhereDigitsAreOthers() {
    Locale.setDefault(Locale.Category.FORMAT, Locale.forLanguageTag("ar-EG-u-nu-arab"));
    assertNotEquals("1", "%d".formatted(1));
    RunDirectory run = RunDirectory.create(directory.resolve("run"));
    CheckpointDirectory checkpoints = new CheckpointDirectory(run);
    SafeTensors.Source tensor = new BytesSource(SafeTensors.StoredType.F32, new byte[4], 1);
    checkpoints.write(Map.of("a", tensor), Map.of("step", 3));
    try (CheckpointDirectory.Saved saved = checkpoints.newest().orElseThrow()) {
      assertEquals(3, saved.values().get("step"));
    }
    assertTrue(Files.exists(directory.resolve("run/checkpoints/000001.json")));
  }
}
