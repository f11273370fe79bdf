package org.prunepeft.cli;

import static org.prunepeft.testing.ReaderFiles.DIRECTORY;
import static org.prunepeft.testing.ReaderFiles.put;
import static org.prunepeft.testing.ReaderFiles.putOnce;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.prunepeft.data.DataException;
import org.prunepeft.data.table.MissingColumnException;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.SignedObject;
import org.prunepeft.testing.ReaderFiles;
import org.prunepeft.testing.Reading;

/** The readers of files that the command line has besides the library's, as there. */
class ReadersTest {
  /** Of java/fuzz, whichever comes first. */
  private static final String TIME = "10m";

  private static final long RUNS = 1_000_000;

  static final Reading READING =
      new Reading(
          DataException.class,
          Set.of(
              FormatException.class,
              RunDirectoryException.class,
              DamagedRunException.class,
              MissingColumnException.class,
              IllegalArgumentException.class));

  private static final ConfigFile.Keys TRAIN =
      new ConfigFile.Keys(
          Main.commandLine(Study.TRAIN).getSubcommands().get(Study.TRAIN).getCommandSpec());

  @AfterAll
  static void clean() throws IOException {
    ReaderFiles.clean();
  }

  /** With what is run for it. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void study(byte[] file) throws IOException {
    Path path = put("study.yaml", file);
    READING.check(file.length, () -> new StudyPlan(StudyFile.read(path)).runs());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void options(byte[] file) throws IOException {
    Path path = put("options.yaml", file);
    READING.check(
        file.length, () -> new ConfigFile(path.toString(), ConfigFile.read(path), TRAIN).values());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void studyTables(byte[] file) throws IOException {
    put("tables/study.json", file);
    putOnce("tables/study.md", "# Study tiny\n");
    Path directory = DIRECTORY.resolve("tables");
    READING.check(file.length, () -> StudyJson.read(directory));
    READING.check(file.length, () -> StudyJson.tables(directory));
    sign("tables/study.json");
    READING.check(file.length, () -> StudyJson.read(directory));
    READING.check(file.length, () -> StudyJson.tables(directory));
  }

  /**
   * Gives an object the checksum that its other members have, without which what was changed is
   * refused before anything else is read. A file that is none stays as it is.
   */
  private static void sign(String name) throws IOException {
    Map<String, Object> object;
    try {
      object = RunDirectory.parse(DIRECTORY.resolve(name));
    } catch (RunDirectoryException e) {
      return;
    }
    put(name, SignedObject.text(name, object).getBytes(StandardCharsets.UTF_8));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void studyCosts(byte[] file) throws IOException {
    putOnce(
        "costs/study.json",
        Files.readString(ReaderFiles.saved(ReadersTest.class).resolve("studyTables/valid.json")));
    put("costs/costs.json", file);
    READING.check(file.length, () -> StudyJson.read(DIRECTORY.resolve("costs")));
    sign("costs/costs.json");
    READING.check(file.length, () -> StudyJson.read(DIRECTORY.resolve("costs")));
  }

  /** An experiment of another's in MLflow's directory. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void mlflowExperiment(byte[] file) throws IOException {
    put("mlflow/1/meta.yaml", file);
    READING.check(file.length, () -> new MlflowStore(DIRECTORY.resolve("mlflow"), "own"));
  }

  /** One a line, as predict takes them. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void texts(byte[] file) throws IOException {
    Path path = put("texts.txt", file);
    READING.check(
        file.length,
        () -> {
          try (Texts texts = Texts.lines(path)) {
            texts.next(Integer.MAX_VALUE);
          }
        });
  }
}
