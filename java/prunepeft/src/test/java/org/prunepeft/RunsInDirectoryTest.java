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
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

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

  private static Setup resumed(Path runs) {
    return Setup.DEFAULT.with().output(runs).checkpoints(new Checkpointing(0, true)).build();
  }

  @Test
  void runsOfSeedsOrBudgetsThatAreNotAskedForAreNamed(@TempDir Path temporary) throws IOException {
    Path runs = temporary.resolve("runs");
    RunDirectory.create(runs).fail("cancelled");
    for (String name : List.of("seed-1", "seed-3", "keep-0.5", "budget-100000", "seeds-of-mine")) {
      Files.createDirectory(runs.resolve(name));
    }
    UnresumableRunException e =
        assertThrows(
            UnresumableRunException.class,
            () ->
                SeedRuns.of(
                    resumed(runs), List.of(1L, 2L), ProgressListener.NONE, own -> outcome()));
    assertTrue(
        e.getMessage().contains(" not asked for: budget-100000, keep-0.5, seed-3; "),
        e.getMessage());
    e =
        assertThrows(
            UnresumableRunException.class,
            () ->
                BudgetRuns.of(
                    resumed(runs),
                    List.of(Budget.share(0.5), Budget.parameters(100_000)),
                    ProgressListener.NONE,
                    (own, one, larger, exceeding) -> outcome()));
    assertTrue(e.getMessage().contains(" not asked for: seed-1, seed-3; "), e.getMessage());
  }

  private static TrainOutcome outcome() {
    Evaluation half =
        new Evaluation(
            0,
            Map.of(Metric.ACCURACY, 0.5),
            new Predictions(Schema.classification(List.of("a", "b")), new float[0]));
    return new TrainOutcome(List.of(), 1, false, 1, half, half, half, 1, 1, 0, 0);
  }
}
