package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.DamagedRunException;
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
        () -> SeedRuns.of(setup, null, List.of(1L, 2L), failing, own -> null));
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
                    null,
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
                    null,
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
                    resumed(runs), null, List.of(1L, 2L), ProgressListener.NONE, own -> outcome()));
    assertTrue(
        e.getMessage().contains(" not asked for: budget-100000, keep-0.5, seed-3; "),
        e.getMessage());
    e =
        assertThrows(
            UnresumableRunException.class,
            () ->
                BudgetRuns.of(
                    resumed(runs),
                    null,
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

  /** Writes options as a directory is made. */
  private static ProgressListener writing(String options) {
    return new ProgressListener() {
      @Override
      public void created(Path directory) {
        write(directory, options);
      }
    };
  }

  private static void write(Path directory, String options) {
    try {
      Files.writeString(directory.resolve(RunFiles.OPTIONS), options);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void optionsThatChangeWhileRunsGoOnAreNotSigned(@TempDir Path temporary) {
    Setup setup = Setup.DEFAULT.with().output(temporary.resolve("runs")).build();
    String said =
        assertThrows(
                RunDirectoryException.class,
                () ->
                    SeedRuns.of(
                        setup,
                        null,
                        List.of(1L, 2L),
                        writing("seeds: [1, 2]\n"),
                        own -> {
                          write(setup.output(), "seeds: [1, 3]\n");
                          return outcome();
                        }))
            .getMessage();
    Path options = setup.output().resolve(RunFiles.OPTIONS);
    assertTrue(said.startsWith(options + " was changed while the run went on: "), said);
    assertFalse(Files.exists(setup.output().resolve(RunFiles.SEEDS)));
  }

  @Test
  void whatIsAboveIsCheckedBeforeItIsSaidToBeOver(@TempDir Path temporary) throws IOException {
    Path runs = temporary.resolve("runs");
    Setup setup = Setup.DEFAULT.with().output(runs).build();
    SeedRuns.of(setup, null, List.of(1L, 2L), writing("seeds: [1, 2]\n"), own -> outcome());
    Executable over = () -> assertTrue(PrunePeft.isOver(resumed(runs)));
    assertDoesNotThrow(over);
    for (String name : List.of(RunFiles.SEEDS, RunFiles.SUMMARY, RunFiles.OPTIONS)) {
      Path file = runs.resolve(name);
      String whole = Files.readString(file);
      Files.writeString(file, whole.replaceFirst("1", "7"));
      String said = assertThrows(DamagedRunException.class, over).getMessage();
      assertTrue(said.startsWith(file + " is damaged or was changed: "), said);
      assertTrue(said.contains("delete " + runs.resolve(RunFiles.SUMMARY)), said);
      assertTrue(said.endsWith("'prunepeft seal " + runs + "' takes all files as they are"), said);
      assertEquals(1, Seal.renew(runs, null).size());
      assertDoesNotThrow(over);
      Files.writeString(file, whole);
      Seal.renew(runs, null);
      assertEquals(List.of(), Seal.renew(runs, null));
    }
    assertThrows(IllegalArgumentException.class, () -> Seal.renew(runs, "minilm"));
  }

  /** They had a checksum of their own once, and none before. */
  @Test
  void whatAnEarlierVersionWroteAboveIsTaken(@TempDir Path temporary) throws IOException {
    Path runs = temporary.resolve("runs");
    Setup setup = Setup.DEFAULT.with().output(runs).build();
    SeedRuns.of(setup, null, List.of(1L), writing("seeds: 1\n"), own -> outcome());
    Path file = runs.resolve(RunFiles.SEEDS);
    Map<String, Object> object = RunDirectory.open(runs).readJson(RunFiles.SEEDS);
    object.remove("files");
    for (Map<String, Object> earlier : List.of(Manifest.signed(RunFiles.SEEDS, object), object)) {
      Files.writeString(file, RunDirectory.format(RunFiles.SEEDS, earlier));
      assertTrue(PrunePeft.isOver(resumed(runs)));
    }
    Map<String, Object> damaged = Manifest.signed(RunFiles.SEEDS, object);
    damaged.put("seeds", List.of(2));
    Files.writeString(file, RunDirectory.format(RunFiles.SEEDS, damaged));
    assertThrows(DamagedRunException.class, () -> PrunePeft.isOver(resumed(runs)));
  }
}
