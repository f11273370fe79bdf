package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.EndedProcess;

class MavenArtifactTest {
  @TempDir Path temporary;

  /** With a script in Maven's place, which waits for another process. */
  @Test
  @Timeout(3600)
  void anInterruptEndsMavenToo() throws Exception {
    Path begun = temporary.resolve("begun");
    Path maven = temporary.resolve("mvn");
    Files.writeString(
        maven,
        "#!/bin/sh\nsleep 36000 &\necho $! > '%1$s.new'\nmv '%1$s.new' '%1$s'\nwait\n"
            .formatted(begun));
    assertTrue(maven.toFile().setExecutable(true));
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread fetching =
        new Thread(
            () -> {
              try {
                new MavenArtifact("absent", "absent", "1", 1).fetch(maven.toString());
              } catch (Throwable e) {
                thrown.set(e);
              }
            });
    fetching.start();
    while (Files.notExists(begun)) {
      assertTrue(fetching.isAlive(), () -> "" + thrown.get());
      Thread.sleep(5);
    }
    ProcessHandle sleeping =
        ProcessHandle.of(Long.parseLong(Files.readString(begun).strip())).orElseThrow();
    try {
      ProcessHandle script = sleeping.parent().orElseThrow();
      fetching.interrupt();
      fetching.join();
      assertInstanceOf(AssetException.class, thrown.get());
      EndedProcess.await(script, Duration.ofMinutes(10));
      EndedProcess.await(sleeping, Duration.ofMinutes(10));
    } finally {
      sleeping.destroyForcibly();
    }
  }
}
