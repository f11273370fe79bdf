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
  private static final Path SOURCES =
      Path.of(System.getProperty("basedir", "")).toAbsolutePath().resolve("src/main/java");

  /** Text literals of one line, joined by plus. */
  private static final String TEXT = "(?:\"(?:[^\"\\\\\\n]|\\\\.)*+\"\\s*\\+?\\s*)++";

  /** Formats without a locale of their own. */
  private static final Pattern FORMAT =
      Pattern.compile("(" + TEXT + ")\\)?\\s*\\.formatted\\(|String\\.format\\(\\s*(" + TEXT + ")");

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

  @Test
  void numbersAndLinesAreWrittenTheSameEverywhere() throws IOException {
    List<String> found = new ArrayList<>();
    int writers = 0;
    Path root = SOURCES.resolve("org/prunepeft");
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).sorted().toList()) {
        String name = root.relativize(file).toString().replace('\\', '/').replace(".java", "");
        boolean writer = WRITERS.contains(name);
        writers += writer ? 1 : 0;
        String text = Files.readString(file);
        if (writer && text.contains("%n")) {
          found.add(name + ": %n");
        }
        FORMAT
            .matcher(text)
            .results()
            .filter(
                match -> {
                  String format = match.group(1) == null ? match.group(2) : match.group(1);
                  return (writer ? NUMBER : FIXED).matcher(format).find();
                })
            .map(match -> name + ": " + match.group())
            .forEach(found::add);
      }
    }
    assertEquals(List.of(), found, "write String.format(Locale.ROOT, ...) and \\n");
    assertEquals(WRITERS.size(), writers);
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
