package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.Setup;

class RunRecordTest {
  private static final IllegalStateException FULL = new IllegalStateException("the disk is full");

  /** Fails at the first that it hears of. */
  private static final ProgressListener FAILING =
      new ProgressListener() {
        @Override
        public void created(Path directory) {
          throw FULL;
        }
      };

  @TempDir private Path temporary;

  private static Setup setup(Path output, Checkpointing checkpoints) {
    return Setup.DEFAULT.with().output(output).checkpoints(checkpoints).build();
  }

  private static void assertFails(Setup setup) {
    assertSame(
        FULL, assertThrows(IllegalStateException.class, () -> RunRecord.of(setup, FAILING, null)));
  }

  @Test
  void directoryIsGoneWhereAListenerFailsAsItIsMade() {
    Path run = temporary.resolve("run");
    assertFails(setup(run, Checkpointing.DEFAULT));
    assertFalse(Files.exists(run));
  }

  private static String refused(Setup setup) {
    return assertThrows(
            IllegalArgumentException.class, () -> RunRecord.of(setup, ProgressListener.NONE, null))
        .getMessage();
  }

  @Test
  void whatWouldHaveNoEffectIsRefused() {
    Setup files = Setup.builder().files(DataFiles.of(Path.of("a.csv"))).data(temporary).build();
    String both = refused(files);
    assertTrue(both.endsWith(temporary + ", leave out one of them"), both);
    for (Checkpointing checkpoints : List.of(Checkpointing.RESUME, new Checkpointing(5, false))) {
      String message = refused(setup(null, checkpoints));
      assertTrue(message.contains("name an output, or leave out " + checkpoints), message);
    }
  }

  @Test
  void resumedDirectorySaysWhyItsListenerFailed() {
    Path run = temporary.resolve("run");
    RunDirectory before = RunDirectory.create(run);
    before.writeText(RunFiles.SUMMARY, "");
    before.fail("cancelled");
    assertFails(setup(run, Checkpointing.RESUME));
    String said =
        assertThrows(RunDirectoryException.class, () -> RunDirectory.open(run)).getMessage();
    assertTrue(said.contains(FULL.getMessage()), said);
  }

  @Test
  void runsTogetherWriteNoMoreCheckpointsOnceOneOfThemCouldNotBegin() {
    RunDirectory above = RunDirectory.create(temporary.resolve("runs"));
    Setup setup = setup(above.file("seed-1"), Checkpointing.DEFAULT);
    try (CheckpointStore store = new CheckpointStore(above, Checkpointing.DEFAULT)) {
      assertThrows(
          IllegalStateException.class,
          () ->
              RunsTogether.together(
                  List.of(setup),
                  store,
                  (own, runs) -> {
                    RunRecord.of(own, FAILING, runs);
                    return null;
                  }));
      store.of("seed-2").save();
    }
    assertFalse(Files.exists(above.file(CheckpointDirectory.NAME)));
  }

  /** Members that came later do not make another model; what texts learn to end at does. */
  @Test
  @SuppressWarnings("unchecked")
  void aDecoderOfAnEarlierVersionIsTheSameModel() {
    EncoderConfig own = DecoderFamilies.llama().config();
    EncoderConfig now =
        own.with()
            .decoder(own.decoder().with().endTokens(List.of(2, 7)).mostTokens(9).build())
            .build();
    Map<String, Object> before = RunDirectory.reread("config.json", now);
    Map<String, Object> decoder = (Map<String, Object>) before.get("decoder");
    decoder.remove("mostTokens");
    decoder.put("endTokens", List.of(2));
    assertTrue(isSameModel(before, now));
    decoder.put("endTokens", List.of(7, 2));
    assertFalse(isSameModel(before, now));
    decoder.put("endTokens", List.of(2));
    decoder.put("logitCap", 3.0);
    assertFalse(isSameModel(before, now));
  }

  private static boolean isSameModel(Map<String, Object> before, EncoderConfig now) {
    RunConfig config = new RunConfig(Path.of("config.json"), Map.of(RunRecord.ENCODER, before));
    return ConfigDifference.sameModel(config.encoder(), now);
  }

  /** They are missed by nobody where a directory of several seeds or budgets is taken for one. */
  @Test
  void aRunThatGoesOnHasNoRunsOfSeedsOrBudgetsBelow() throws IOException {
    Path run = temporary.resolve("run");
    RunDirectory.create(run).fail("cancelled");
    Files.createDirectories(run.resolve("seed--3"));
    Files.createDirectories(run.resolve("keep-0.25"));
    Files.createDirectories(run.resolve("seed-of-mine"));
    Files.writeString(run.resolve("seed-4"), "no directory");
    String said =
        assertThrows(
                UnresumableRunException.class,
                () -> RunRecord.of(setup(run, Checkpointing.RESUME), ProgressListener.NONE, null))
            .getMessage();
    assertTrue(
        said.startsWith(
            run + " has runs of seeds or budgets that are not asked for: keep-0.25, seed--3; "),
        said);
  }
}
