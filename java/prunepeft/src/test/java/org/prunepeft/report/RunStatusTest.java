package org.prunepeft.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;

class RunStatusTest {
  @TempDir private Path directory;

  @Test
  void aRunIsOpenThenHasChosenItsModulesThenIsComplete() {
    Path path = directory.resolve("run");
    assertEquals(RunStatus.OPEN, RunStatus.of(path));
    RunDirectory run = RunDirectory.create(path);
    assertEquals(RunStatus.OPEN, RunStatus.of(path));
    run.writeJson(RunFiles.CONFIGURATION, Map.of());
    assertEquals(RunStatus.CHOSEN, RunStatus.of(path));
    run.writeText(RunFiles.SUMMARY, "done\n");
    assertEquals(RunStatus.CHOSEN, RunStatus.of(path));
    run.complete();
    assertEquals(RunStatus.COMPLETE, RunStatus.of(path));
  }

  /** In a file that someone has changed. */
  @Test
  void whatIsNoFileIsNoSource() {
    RunDirectory run = RunDirectory.create(directory.resolve("run"));
    Map<String, Object> file = Map.of("file", "/a.csv", "bytes", 1, "sha256", "00");
    Map<String, Object> root = Map.of("file", "/", "bytes", 1, "sha256", "00");
    run.writeJson(RunFiles.CONFIG, Map.of("data", List.of(root, file)));
    assertEquals(List.of(Path.of("/a.csv")), RunStatus.sources(run.path()));
    run.writeJson(RunFiles.CONFIG, Collections.singletonMap("data", null));
    assertEquals(List.of(), RunStatus.sources(run.path()));
  }
}
