package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;

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
