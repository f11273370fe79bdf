package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.Setup;

class RunsInDirectoryTest {
  @Test
  void directoryIsGoneWhereAListenerFailsAsItIsMade(@TempDir Path temporary) {
    Path runs = temporary.resolve("runs");
    ProgressListener failing =
        new ProgressListener() {
          @Override
          public void created(Path directory) {
            throw new IllegalStateException("the disk is full");
          }
        };
    Setup setup = Setup.DEFAULT.with().output(runs).build();
    assertThrows(
        IllegalStateException.class,
        () -> SeedRuns.of(setup, List.of(1L, 2L), failing, own -> null));
    assertFalse(Files.exists(runs));
  }
}
