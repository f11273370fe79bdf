package org.prunepeft.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.WriteFailures;

/** A disk that is full, at each write of each kind of file. */
class WriteFailureTest {
  private static final AtomicLong MARKS = new AtomicLong();

  private static final WriteFailures.Action NOTHING = directory -> {};

  @TempDir Path temporary;

  private static Map<String, SafeTensors.Tensor> tensors(float value) {
    return Map.of(
        "a", new SafeTensors.Tensor(new long[] {2, 3}, new float[] {value, 1, 2, 3, 4, 5}),
        "b", new SafeTensors.Tensor(new long[] {1}, new float[] {value}));
  }

  private void check(String name, WriteFailures.Action before, WriteFailures.Action action)
      throws Exception {
    new WriteFailures(temporary).of(name, before, action);
  }

  /** A run that goes on; its object outlives a failure. */
  private static RunDirectory run(Path directory) {
    return RunDirectory.resume(directory.resolve("run"), false, ofGone());
  }

  /** The mark of a process that is gone, so that the next may resume the run. No two are alike. */
  private static String ofGone() {
    return "running since 2026-01-01T00:00:00Z, as process 999999999\n%s\n"
        .formatted(new UUID(0, MARKS.incrementAndGet()));
  }

  private static void makeRun(Path directory) {
    RunDirectory run = RunDirectory.create(directory.resolve("run"), ofGone());
    run.writeJson(RunFiles.CONFIG, Map.of("task", "first"));
    run.appendJsonLine(RunFiles.METRICS, Map.of("step", 1));
  }

  @Test
  void filesThatAreReplaced() throws Exception {
    check(
        "bytes",
        directory -> Files.writeString(directory.resolve("file"), "before"),
        directory ->
            AtomicFile.write(directory.resolve("file"), "after".getBytes(StandardCharsets.UTF_8)));
    check(
        "tensors",
        directory -> SafeTensors.write(directory.resolve("file"), tensors(1)),
        directory -> SafeTensors.write(directory.resolve("file"), tensors(2)));
  }

  @Test
  void filesOfARun() throws Exception {
    check("create", NOTHING, directory -> RunDirectory.create(directory.resolve("above/run")));
    check("resume", WriteFailureTest::makeRun, WriteFailureTest::run);
    check(
        "json",
        WriteFailureTest::makeRun,
        directory -> run(directory).writeJson(RunFiles.CONFIG, Map.of("task", "second")));
    check(
        "json below",
        WriteFailureTest::makeRun,
        directory -> run(directory).writeJson("below/it.json", Map.of("task", "second")));
    check(
        "line",
        WriteFailureTest::makeRun,
        directory -> run(directory).appendJsonLine(RunFiles.METRICS, Map.of("step", 2)));
    check(
        "result",
        WriteFailureTest::makeRun,
        directory ->
            Manifest.write(
                run(directory),
                RunFiles.RESULT,
                RunDirectory.formatted(),
                List.of(RunFiles.CONFIG, RunFiles.METRICS)));
    check(
        "seal",
        directory -> {
          makeRun(directory);
          run(directory).complete();
        },
        directory ->
            Manifest.renew(
                RunDirectory.open(directory.resolve("run")),
                RunFiles.RESULT,
                List.of(RunFiles.CONFIG, RunFiles.METRICS)));
  }

  /** What the newest checkpoint that can be read holds. */
  private static Object newest(Path directory) throws Exception {
    try (var saved = new CheckpointDirectory(run(directory)).newest().orElseThrow()) {
      assertEquals(
          ((Number) saved.values().get("step")).floatValue(), saved.tensors().floats("a")[0]);
      assertTrue(saved.damaged().isEmpty(), saved.damaged().toString());
      return saved.values().get("step");
    }
  }

  private static void writeCheckpoint(Path directory, int step) {
    new CheckpointDirectory(run(directory))
        .write(Map.of("a", new OneValue(step)), Map.of("step", step));
  }

  @Test
  void checkpoints() throws Exception {
    check(
        "checkpoints",
        directory -> {
          makeRun(directory);
          writeCheckpoint(directory, 1);
          writeCheckpoint(directory, 2);
        },
        directory -> {
          try {
            writeCheckpoint(directory, 3);
          } finally {
            Object step = newest(Path.of(directory.toString()));
            assertTrue(step.equals(2) || step.equals(3), step.toString());
          }
        });
  }

  @Test
  void eventFiles() throws Exception {
    check(
        "events", NOTHING, directory -> EventFile.create(directory.resolve("tfevents"), 1).close());
    check(
        "event",
        NOTHING,
        directory -> {
          Path file = directory.resolve("tfevents");
          Files.deleteIfExists(file);
          try (EventFile events = EventFile.create(file, 1)) {
            byte[] begun = Files.readAllBytes(file);
            try {
              events.scalars(2, 1, Map.of("loss", 0.5));
            } catch (IOException e) {
              assertEquals(begun.length, Files.size(file));
              Files.delete(file);
              throw e;
            }
          }
        });
  }

  @Test
  void models() throws Exception {
    check(
        "model",
        NOTHING,
        directory -> {
          Path model = directory.resolve("model");
          if (Files.exists(model)) {
            for (var name :
                List.of("model.safetensors", "tokenizer.json", "vocab.txt", "config.json")) {
              Files.deleteIfExists(model.resolve(name));
            }
          }
          new HuggingFaceDirectory(model)
              .write(
                  Map.of("model_type", "bert"),
                  new byte[] {'{', '}'},
                  Map.of("vocab.txt", new byte[] {'a'}),
                  new MapCheckpoint("a test", tensors(1)));
        });
  }
}
