package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.PrunePeft;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.SmallBertDirectory;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.TrainingSettings;

/** What a run says of its data's files, two of which have one name. */
class RunDataTest {
  private static final FileChecksum ROOT = new FileChecksum(Path.of("/"), 1, "00");
  private static final FileChecksum OTHER_ROOT = new FileChecksum(Path.of("/"), 1, "01");

  @TempDir private Path temporary;

  private Path file(String name, String content) throws IOException {
    Path file = temporary.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, content);
  }

  private static Task task(Path train, Path test) {
    return new DataFiles(train, null, test, Columns.DEFAULT, TaskKind.CLASSIFICATION, null).task();
  }

  private RunDirectory run(Task task) {
    RunDirectory run = RunDirectory.create(temporary.resolve("run"));
    run.writeJson(RunFiles.CONFIG, Map.of(RunData.MEMBER, RunData.of(task)));
    return run;
  }

  private static void assertChanged(List<String> changes, Path file) {
    assertEquals(1, changes.size(), changes.toString());
    assertTrue(changes.get(0).startsWith(file + " is not what the run "), changes.toString());
  }

  @Test
  void filesOfOneNameAreKnownByTheirPaths() throws IOException {
    Path train = file("train/data.csv", "a");
    Path test = file("test/data.csv", "b");
    RunDirectory run = run(task(train, test));
    assertEquals(List.of(), RunData.changes(run, task(train, test)));
    Files.writeString(test, "c");
    assertChanged(RunData.changes(run, task(train, test)), test);
  }

  @Test
  void filesThatHaveMovedAreKnownByTheirNamesAndPlaces() throws IOException {
    Path train = file("train/data.csv", "a");
    Path test = file("test/data.csv", "b");
    RunDirectory run = run(task(train, test));
    Path movedTrain = file("moved/train/data.csv", "a");
    Path movedTest = file("moved/test/data.csv", "b");
    assertEquals(List.of(), RunData.changes(run, task(movedTrain, movedTest)));
    assertEquals(List.of(), RunData.changes(run, task(train, movedTest)));
    assertEquals(List.of(), RunData.changes(run, task(file("one/x.csv", "x"), null)));
    // One is left, which may have been either.
    assertEquals(List.of(), RunData.changes(run, task(movedTest, null)));
    Path other = file("one/data.csv", "x");
    assertChanged(RunData.changes(run, task(other, null)), other);
    assertChanged(
        RunData.changes(run, task(movedTrain, file("moved/other/data.csv", "c"))),
        temporary.resolve("moved/other/data.csv"));
    assertEquals(2, RunData.changes(run, task(movedTest, movedTrain)).size());
  }

  /** A task whose file is saved again once it was read, as often as there are changes left. */
  private record SavedMeanwhile(Path file, AtomicInteger changes) implements Task {
    @Override
    public String name() {
      return "saved-meanwhile";
    }

    @Override
    public String description() {
      return "whether a film was long";
    }

    @Override
    public String source() {
      return "this test";
    }

    @Override
    public String licence() {
      return "Apache-2.0";
    }

    @Override
    public List<Path> files() {
      return List.of(file);
    }

    @Override
    public Dataset load(SplitSizes sizes, long seed, long testSeed) {
      Dataset read = DataFiles.of(file).task().load(sizes, seed, testSeed);
      try {
        if (changes.getAndDecrement() > 0) {
          Files.writeString(file, "the film was long,no\n", StandardOpenOption.APPEND);
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return read;
    }
  }

  @Test
  @FixedSeed("the weights are a prop: what is refused does not depend on them")
  void aFileThatIsSavedWhileItIsReadIsNotSigned() throws IOException {
    Path file = file("films.csv", "text,label\n" + "the film,no\nfilm was,yes\n".repeat(20));
    Tasks.register(new SavedMeanwhile(file, new AtomicInteger(1)));
    Path model =
        SmallBertDirectory.write(
            temporary.resolve("bert"), List.of("the", "film", "was"), 16, TestSeed.random());
    Setup setup =
        Setup.builder()
            .model(model.toString())
            .task("saved-meanwhile")
            .training(TrainingSettings.builder().maxLength(16).batchSize(4).build())
            .epochs(1)
            .threads(1)
            .output(temporary.resolve("changed"))
            .build();
    String message =
        assertThrows(
                DataException.class,
                () -> PrunePeft.train(setup, ModuleChoice.head(), ProgressListener.NONE))
            .getMessage();
    assertTrue(message.startsWith(file + " changed while it was read: it had "), message);
    assertTrue(message.endsWith("; run again once it no longer changes"), message);
    Path again = temporary.resolve("again");
    PrunePeft.train(setup.withOutput(again), ModuleChoice.head(), ProgressListener.NONE);
    assertEquals(
        List.of(FileChecksum.of(file)), RunConfig.of(RunDirectory.open(again)).files("data"));
  }

  /** In a file that someone has changed. */
  @Test
  void aRootHasNoNameAndNoListIsRefusedByFileAndMember() throws IOException {
    RunDirectory run = RunDirectory.create(temporary.resolve("run"));
    Map<String, Object> root = Map.of("file", "/", "bytes", 1, "sha256", "00");
    run.writeJson(RunFiles.CONFIG, Map.of(RunData.MEMBER, List.of(root)));
    Task task = task(file("train/data.csv", "a"), null);
    assertEquals(List.of(), RunData.changes(run, task));
    assertEquals(List.of(), RunData.differences(run, RunData.of(task), List.of(ROOT)));
    assertEquals(1, RunData.differences(run, List.of(ROOT), List.of(OTHER_ROOT)).size());
    for (Object other : Arrays.asList(null, "x", Map.of("file", "/"))) {
      run.writeJson(RunFiles.CONFIG, Collections.singletonMap(RunData.MEMBER, other));
      String message =
          assertThrows(RunDirectoryException.class, () -> RunData.changes(run, task)).getMessage();
      assertTrue(message.startsWith(run.file(RunFiles.CONFIG).toString()), message);
      assertTrue(message.contains(RunData.MEMBER), message);
    }
  }
}
