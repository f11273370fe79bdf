package org.prunepeft.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.testing.TestSeed;

/** What is kept of a run's checkpoints, and what of those that were cut off or are damaged. */
class CheckpointDirectoryTest {
  @TempDir Path temporary;
  private final Random random = TestSeed.random();
  private Path files;
  private RunDirectory run;

  @BeforeEach
  void begin() {
    run = RunDirectory.create(temporary.resolve("run"));
    files = run.file(CheckpointDirectory.NAME);
  }

  /** As a process does that goes on with it once the one before is gone. */
  private CheckpointDirectory resumed() {
    run.fail("cancelled");
    run = RunDirectory.resume(run.path(), false);
    return new CheckpointDirectory(run);
  }

  private static void write(CheckpointDirectory checkpoints, int step) {
    checkpoints.write(Map.of("weight", new OneValue(step)), Map.of("step", step));
  }

  /** Those of the steps from 1 on. */
  private CheckpointDirectory written(int steps) {
    CheckpointDirectory checkpoints = new CheckpointDirectory(run);
    for (int step = 1; step <= steps; step++) {
      write(checkpoints, step);
    }
    return checkpoints;
  }

  /** The step of the newest one that is whole, and how many were passed over. */
  private static void assertNewest(int step, int damaged, CheckpointDirectory checkpoints) {
    try (var saved = checkpoints.newest().orElseThrow()) {
      assertEquals(step, saved.values().get("step"));
      assertEquals(step, saved.tensors().floats("weight")[0]);
      assertEquals(damaged, saved.damaged().size(), saved.damaged().toString());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private List<String> names() throws IOException {
    try (var listed = Files.list(files)) {
      return listed.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private void damage(String name) throws IOException {
    byte[] content = Files.readAllBytes(files.resolve(name));
    content[random.nextInt(content.length)] ^= (byte) (1 << random.nextInt(8));
    Files.write(files.resolve(name), content);
  }

  @Test
  void theTwoNewestAreKept() throws IOException {
    CheckpointDirectory checkpoints = written(4);
    assertEquals(
        List.of("000003.json", "000003.safetensors", "000004.json", "000004.safetensors"), names());
    assertNewest(4, 0, checkpoints);
    assertEquals(4, checkpoints.newestNumber());
  }

  /** A kill between the two files of one that is removed or written, and while one is written. */
  @Test
  void whatAKillLeavesOfOneIsRemovedAsItsRunIsResumed() throws IOException {
    written(4);
    List<String> whole = names();
    byte[] tensors = Files.readAllBytes(files.resolve("000003.safetensors"));
    Files.write(files.resolve("000001.safetensors"), tensors);
    Files.write(files.resolve("000005.safetensors"), tensors);
    Files.write(files.resolve(".000006.safetensors.1.partial"), tensors);
    Path other = Files.writeString(files.resolve("notes.safetensors"), "a user's");
    assertNewest(4, 0, resumed());
    Files.delete(other);
    assertEquals(whole, names());
  }

  /** It would be in the place of the one that the run goes on from. */
  @ParameterizedTest
  @ValueSource(strings = {".safetensors", ".json"})
  void oneThatWasPassedOverIsNotAmongTheTwoThatAreKept(String ending) throws IOException {
    written(2);
    damage("000002" + ending);
    CheckpointDirectory checkpoints = resumed();
    assertNewest(1, 1, checkpoints);
    assertEquals(4, names().size(), "until a new one is whole");
    write(checkpoints, 3);
    assertEquals(
        List.of("000001.json", "000001.safetensors", "000003.json", "000003.safetensors"), names());
    damage("000003" + ending);
    checkpoints = resumed();
    assertNewest(1, 1, checkpoints);
    write(checkpoints, 4);
    write(checkpoints, 5);
    assertNewest(5, 0, checkpoints);
    assertEquals(
        List.of("000004.json", "000004.safetensors", "000005.json", "000005.safetensors"), names());
  }

  @Test
  void whereNoneIsWholeAllStay() throws IOException {
    written(2);
    damage("000001.json");
    damage("000002.safetensors");
    List<String> names = names();
    assertThrows(UnresumableRunException.class, () -> resumed().newest());
    assertEquals(names, names());
  }

  @Test
  void whatElseSomeoneHasPutThereStaysWhereTheyAreRemoved() throws IOException {
    CheckpointDirectory checkpoints = written(2);
    Files.writeString(files.resolve(".000003.json.1.partial"), "{");
    Files.writeString(files.resolve("notes.txt"), "a user's");
    Files.writeString(Files.createDirectory(files.resolve("000002.json.d")).resolve("more"), "");
    Files.createDirectory(files.resolve("7.json"));
    checkpoints.delete();
    assertEquals(List.of("000002.json.d", "7.json", "notes.txt"), names());
    checkpoints.delete();
  }

  /** A run from elsewhere, whose checkpoints lead to a directory of the user's. */
  @Test
  void whatALinkLeadsToIsNeitherWrittenNorRemoved() throws IOException {
    written(1);
    Path elsewhere = Files.move(files, temporary.resolve("elsewhere"));
    Path mine = Files.writeString(elsewhere.resolve("000001.safetensors"), "mine");
    Files.createSymbolicLink(files, elsewhere);
    CheckpointDirectory checkpoints = new CheckpointDirectory(run);
    for (Executable change :
        List.<Executable>of(checkpoints::delete, this::resumed, () -> write(checkpoints, 2))) {
      String said = assertThrows(RunDirectoryException.class, change).getMessage();
      assertTrue(said.startsWith(files + " is a symbolic link; "), said);
    }
    Files.delete(files);
    Files.createDirectory(files);
    Files.createSymbolicLink(files.resolve("000001.safetensors"), mine);
    assertThrows(RunDirectoryException.class, () -> write(checkpoints, 1));
    assertEquals("mine", Files.readString(mine));
    run.fail("cancelled");
    CheckpointDirectory.deleteLeft(RunDirectoryTest.completed(run.path()));
    assertFalse(Files.exists(files));
    assertEquals("mine", Files.readString(mine));
  }
}
