package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class EndedProcessTest {
  private static ProcessBuilder shell(String text) {
    return new ProcessBuilder("sh", "-c", text).redirectErrorStream(true);
  }

  @Test
  void whatItSaidAndItsExitValueAreThere() throws Exception {
    EndedProcess ended =
        EndedProcess.of(shell("echo out; echo ünd >&2; exit 3"), Duration.ofMinutes(1));
    assertEquals(new EndedProcess(3, "out\nünd\n"), ended);
  }

  @Test
  void oneThatDoesNotEndIsEndedWithWhatItBegan(@TempDir Path directory) throws Exception {
    Path pid = directory.resolve("pid");
    String text = "sleep 600 & echo begun; echo $! >'" + pid + "'; wait";
    Duration limit = Duration.ofSeconds(1);
    String said;
    do { // a busy machine takes its time to begin
      Duration own = limit;
      said =
          assertThrows(AssertionError.class, () -> EndedProcess.of(shell(text), own)).getMessage();
      assertTrue(said.contains(" has not ended within " + own), said);
      limit = limit.multipliedBy(2);
    } while (!Files.exists(pid) || Files.size(pid) == 0);
    assertTrue(said.endsWith("it said: begun\n"), said);
    long sleeping = Long.parseLong(Files.readString(pid).strip());
    ProcessHandle.of(sleeping).ifPresent(left -> left.onExit().join());
    assertFalse(ProcessHandle.of(sleeping).map(ProcessHandle::isAlive).orElse(false));
  }

  /** As a daemon that a program leaves behind does. */
  @Test
  void whatHoldsTheOutputOpenIsNotWaitedFor() throws Exception {
    EndedProcess ended = EndedProcess.of(shell("sleep 600 & echo $!"), Duration.ofMinutes(1));
    ProcessHandle sleeping = ProcessHandle.of(Long.parseLong(ended.text().strip())).orElseThrow();
    assertTrue(sleeping.destroyForcibly());
    assertEquals(0, ended.exitValue());
  }
}
