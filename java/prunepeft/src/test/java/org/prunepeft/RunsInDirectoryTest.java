package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.Checkpointing;
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

  /** In a directory that came from elsewhere. */
  @Test
  void whatALinkLeadsToIsNoneOfTheRuns(@TempDir Path temporary) throws IOException {
    Path elsewhere = Files.createDirectory(temporary.resolve("elsewhere"));
    Setup setup =
        Setup.DEFAULT
            .with()
            .output(temporary.resolve("runs"))
            .checkpoints(new Checkpointing(0, true))
            .build();
    RunDirectory.create(setup.output()).fail("cancelled");
    Path seed = Files.createSymbolicLink(setup.output().resolve("seed-2"), elsewhere);
    Path budget = Files.createSymbolicLink(setup.output().resolve("keep-0.5"), elsewhere);
    List<Path> made = new ArrayList<>();
    ProgressListener none = new ProgressListener() {};
    RunDirectoryException e =
        assertThrows(
            RunDirectoryException.class,
            () ->
                SeedRuns.of(
                    setup,
                    List.of(2L),
                    none,
                    own -> {
                      made.add(own.output());
                      return null;
                    }));
    assertTrue(e.getMessage().startsWith(seed + " is a symbolic link"), e.getMessage());
    e =
        assertThrows(
            RunDirectoryException.class,
            () ->
                BudgetRuns.of(
                    setup,
                    List.of(Budget.share(0.5)),
                    none,
                    (own, one, larger, exceeding) -> {
                      made.add(own.output());
                      return null;
                    }));
    assertTrue(e.getMessage().startsWith(budget + " is a symbolic link"), e.getMessage());
    assertEquals(List.of(), made);
  }
}
