package org.prunepeft;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.LearningCurve;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.settings.Setup;

/**
 * All that a run's directory says, complete or not, for those who show it. A complete run that has
 * checksums has all files that it wrote. Of others a file that is not there is empty here, and one
 * that can't be read is so too and is named in the notes.
 *
 * @param info the row of a list
 * @param setup how it was set up; empty: not known
 * @param settings all of them by their names in {@code config.json}, such as setup.seed
 * @param schema what was to be predicted; empty: not known
 * @param result members of {@code result.json}; none: it is not complete
 * @param modules those that are kept or trained; empty: not known yet, or the encoder itself
 * @param strategy which criteria judge which partition; empty: modules were not pruned
 * @param rounds of a search by pruning
 * @param measured of a measured search
 * @param peer of a search that went another way
 * @param curves of its trainings
 * @param predictions of the test examples; empty: they were not kept, or not yet
 * @param notes a line for each file that can't be read
 */
public record RunContents(
    RunInfo info,
    Optional<Setup> setup,
    Map<String, Object> settings,
    Optional<Schema> schema,
    Map<String, Object> result,
    List<Candidate> modules,
    Optional<Strategy> strategy,
    List<PruningRound> rounds,
    Optional<MeasuredFile> measured,
    Optional<PeerResult> peer,
    List<LearningCurve> curves,
    Optional<TestPredictions> predictions,
    List<String> notes) {

  /** How many levels below a directory runs are looked for. */
  public static final int DEPTH = RunDirectories.DEPTH;

  /**
   * {@return the directories of runs in a directory and below, by path; itself, if it is one}
   *
   * @param directory of a run, of several seeds or budgets, or of any runs
   * @throws RunDirectoryException if it can't be read
   */
  public static List<Path> directories(Path directory) {
    return RunDirectories.below(directory);
  }

  /**
   * {@return what a run's directory says} Of a complete run all but its weights is compared with
   * the checksums that it left.
   *
   * @param directory of a run, complete or not
   * @throws RunDirectoryException if it is none; names those that it holds
   * @throws org.prunepeft.io.DamagedRunException if it is complete, and a file was changed or is
   *     gone since
   */
  public static RunContents of(Path directory) {
    RunDirectories.requireRun(directory);
    return new ContentsReader(Manifest.look(directory, RunFiles.DESCRIPTION)).read();
  }

  /**
   * {@return the test examples by what {@link TestPredictions#id} calls them; the run's data is
   * read again} An example that has changed since is not found by its old name.
   *
   * @throws IllegalArgumentException if the run's task is not known
   * @throws org.prunepeft.data.DataException if its data can't be read
   */
  public Map<String, Example> testExamples() {
    Map<String, Example> examples = new HashMap<>();
    setup.ifPresent(
        own ->
            own.resolveTask()
                .load(own.sizes(), own.seed(), own.testSeed())
                .test()
                .forEach(example -> examples.put(TestPredictions.id(example), example)));
    return examples;
  }

  /** Reads what is there, and notes what can't be read. */
  private static final class ContentsReader {
    private final RunDirectory run;
    private final List<String> notes = new ArrayList<>();

    ContentsReader(RunDirectory run) {
      this.run = run;
    }

    RunContents read() {
      Optional<Schema> schema =
          optional(RunFiles.CONFIG, () -> Schema.fromMap(run.readJson(RunFiles.CONFIG)));
      return new RunContents(
          RunInfo.of(run.path()),
          optional(RunFiles.CONFIG, () -> run.readJson(RunFiles.CONFIG, "setup", Setup.class)),
          optional(RunFiles.CONFIG, () -> RunFiles.settings(run)).orElse(Map.of()),
          schema,
          optional(RunFiles.RESULT, () -> run.readJson(RunFiles.RESULT)).orElse(Map.of()),
          optional(RunFiles.CONFIGURATION, this::modules).orElse(List.of()),
          optional(RunFiles.STRATEGY, () -> Strategy.fromMap(run.readJson(RunFiles.STRATEGY))),
          optional(RunFiles.ROUNDS, () -> run.readJsonArray(RunFiles.ROUNDS, PruningRound.class))
              .orElse(List.of()),
          optional(
              RunFiles.MEASURED,
              () -> RunDirectory.convert(run.readJson(RunFiles.MEASURED), MeasuredFile.class)),
          optional(
              RunFiles.PEER,
              () -> RunDirectory.convert(run.readJson(RunFiles.PEER), PeerResult.class)),
          optional(RunFiles.METRICS, () -> LearningCurve.read(run.path())).orElse(List.of()),
          schema.flatMap(
              own ->
                  optional(
                      RunFiles.PREDICTIONS,
                      () -> TestPredictions.read(run.path(), own).orElseThrow())),
          notes.stream().distinct().toList());
    }

    private List<Candidate> modules() {
      return RunFiles.isFull(run)
          ? List.of()
          : List.of(run.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class));
    }

    private <T> Optional<T> optional(String name, Supplier<T> reader) {
      if (Files.notExists(run.file(name))) {
        return Optional.empty();
      }
      try {
        return Optional.of(reader.get());
      } catch (RunDirectoryException e) {
        notes.add(e.getMessage());
      } catch (IllegalArgumentException e) {
        notes.add("%s: %s".formatted(run.file(name), e.getMessage()));
      }
      return Optional.empty();
    }
  }
}
