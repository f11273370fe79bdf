package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class EndedProcessTest {
  private static ProcessBuilder shell(String text) {
    return new ProcessBuilder("sh", "-c", text).redirectErrorStream(true);
  }

  /** The bytes of its ü: a program's arguments are in the locale's charset. */
  @Test
  void whatItSaidAndItsExitValueAreThere() throws Exception {
    EndedProcess ended =
        EndedProcess.of(
            shell("echo out; printf '\\303\\274nd\\n' >&2; exit 3"), Duration.ofMinutes(1));
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
    Optional<ProcessHandle> left = ProcessHandle.of(sleeping);
    if (left.isPresent()) {
      EndedProcess.await(left.get(), Duration.ofMinutes(1));
    }
  }

  /** The parent becomes another program, which asks for the end of no child. */
  @Test
  void whatHasEndedAndIsNotAskedForHasEnded(@TempDir Path directory) throws Exception {
    assumeTrue(Files.exists(Path.of("/proc/self/stat")), "needs Linux's /proc");
    Path pid = directory.resolve("pid");
    Process parent =
        shell("sleep 0 & echo $! >" + pid + ".new; mv " + pid + ".new " + pid + "; exec sleep 600")
            .start();
    try {
      while (!Files.exists(pid)) {
        assertTrue(parent.isAlive());
        Thread.sleep(5);
      }
      Optional<ProcessHandle> child =
          ProcessHandle.of(Long.parseLong(Files.readString(pid).strip()));
      if (child.isPresent()) { // else the shell has asked
        EndedProcess.await(child.get(), Duration.ofMinutes(1));
        assertFalse(EndedProcess.goesOn(child.get()));
      }
      assertTrue(EndedProcess.goesOn(parent.toHandle()));
      assertThrows(
          AssertionError.class, () -> EndedProcess.await(parent.toHandle(), Duration.ofMillis(20)));
    } finally {
      parent.destroyForcibly().waitFor();
    }
    assertFalse(EndedProcess.goesOn(parent.toHandle()));
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
