package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.SmallBertDirectory;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.RunStatus;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.FailingWrites;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.TrainingSettings;

/** Runs that a listener, an interrupt or a power cut ends, and whose they are meanwhile. */
@FixedSeed("the weights are a prop: what is cancelled does not depend on them")
class CancelledRunTest {
  private static final List<String> WORDS = List.of("the", "film", "was", "not", "long");

  @TempDir static Path temporary;
  private static String model;
  private static Path file;

  @BeforeAll
  static void write() throws IOException {
    Random random = TestSeed.random();
    model = SmallBertDirectory.write(temporary.resolve("bert"), WORDS, 16, random).toString();
    List<String> lines = new ArrayList<>(List.of("text,label"));
    for (int i = 0; i < 48; i++) {
      lines.add(WORDS.get(random.nextInt(WORDS.size())) + " film," + (i % 2 == 0 ? "no" : "yes"));
    }
    file = Files.write(temporary.resolve("examples.csv"), lines);
  }

  @AfterEach
  void noInterruptIsLeft() {
    Thread.interrupted();
  }

  private static Setup setup(Path output) {
    return Setup.builder()
        .model(model)
        .files(DataFiles.of(file))
        .training(TrainingSettings.builder().maxLength(16).batchSize(4).build())
        .epochs(2)
        .threads(1)
        .output(output)
        .build();
  }

  private static void train(Setup setup, ProgressListener listener) {
    PrunePeft.train(setup, ModuleChoice.supernet(), listener);
  }

  /** Interrupts a thread at a piece of work of this name. */
  private static ProgressListener interrupting(String work, Thread thread) {
    return new ProgressListener() {
      private boolean here;

      @Override
      public void started(String name, String unit, long total) {
        here = name.startsWith(work);
      }

      @Override
      public void progress(long done, String detail) {
        if (here && done == 2) {
          thread.interrupt();
        }
      }
    };
  }

  private static void assertInterruptCancels(Path run) throws IOException {
    assertThrows(
        CancellationException.class,
        () -> train(setup(run), interrupting("train", Thread.currentThread())));
    assertTrue(Thread.interrupted());
    if (run != null) {
      assertEquals("interrupted", state(run));
      assertFalse(RunStatus.isRunning(run));
    }
  }

  private static String state(Path run) throws IOException {
    return Files.readString(run.resolve("INCOMPLETE")).strip();
  }

  @Test
  void anInterruptCancelsARunWithADirectoryAndOneWithout() throws IOException {
    assertInterruptCancels(null);
    Path run = temporary.resolve("interrupted");
    assertInterruptCancels(run);
    train(setup(run).withCheckpoints(Checkpointing.RESUME), ProgressListener.NONE);
    assertTrue(Files.exists(run.resolve("result.json")));
  }

  @Test
  void whetherARunIsCancelledIsAskedWhereverWorkTakesLong() {
    Map<String, Integer> asked = new LinkedHashMap<>();
    AtomicInteger inValidation = new AtomicInteger();
    AtomicInteger sinceStep = new AtomicInteger();
    train(
        setup(null),
        new ProgressListener() {
          private String work;

          @Override
          public void started(String name, String unit, long total) {
            work = name;
          }

          @Override
          public void progress(long done, String detail) {
            sinceStep.set(0);
          }

          @Override
          public void metrics(String training, long step, Map<String, Double> values) {
            if (values.containsKey("validation_loss")) {
              // One of these is before the step that there is not.
              inValidation.set(sinceStep.get() - 1);
            }
          }

          @Override
          public boolean cancelled() {
            sinceStep.incrementAndGet();
            asked.merge(String.valueOf(work).split(" ")[0], 1, Integer::sum);
            return false;
          }
        });
    assertTrue(asked.keySet().containsAll(List.of("tokenise", "train", "test")), asked.toString());
    assertTrue(inValidation.get() > 0, inValidation.toString());
  }

  @Test
  void whatIsCancelledInAValidationGoesOnFromItsLastStep() throws IOException {
    Path run = temporary.resolve("validation");
    Path whole = temporary.resolve("whole");
    AtomicInteger asked = new AtomicInteger();
    AtomicLong steps = new AtomicLong();
    assertThrows(
        CancellationException.class,
        () ->
            train(
                setup(run),
                new ProgressListener() {
                  private boolean trains;

                  @Override
                  public void started(String name, String unit, long total) {
                    trains = name.startsWith("train");
                  }

                  @Override
                  public void progress(long done, String detail) {
                    asked.set(0);
                    steps.set(done);
                  }

                  @Override
                  public boolean cancelled() {
                    // Once before a step.
                    return trains && asked.incrementAndGet() > 1;
                  }
                }));
    assertEquals(steps.intValue(), checkpoint(run, "training").get("step"));
    train(setup(run).withCheckpoints(Checkpointing.RESUME), ProgressListener.NONE);
    train(setup(whole), ProgressListener.NONE);
    assertEquals(
        -1,
        Files.mismatch(run.resolve("adapter.safetensors"), whole.resolve("adapter.safetensors")));
  }

  /** What the newest checkpoint of a run says of a part of it. */
  private static Map<?, ?> checkpoint(Path run, String part) {
    try (var saved = new CheckpointDirectory(RunDirectory.look(run)).newest().orElseThrow()) {
      Map<?, ?> runs = (Map<?, ?>) saved.values().get("runs");
      return (Map<?, ?>) ((Map<?, ?>) runs.get("run")).get(part);
    }
  }

  /** Cancels a piece of work whose name begins so, when it is asked for the n-th time in it. */
  private static ProgressListener cancelling(String work, int n) {
    return new ProgressListener() {
      private boolean here;
      private int asked;

      @Override
      public void started(String name, String unit, long total) {
        here = name.startsWith(work);
      }

      @Override
      public boolean cancelled() {
        return here && ++asked >= n;
      }
    };
  }

  /** Before any is due by time, and none is by steps. */
  @Test
  void aTrainingThatIsCancelledWritesACheckpointOfItsStep() {
    Path run = temporary.resolve("step");
    CancellationException cancelled =
        assertThrows(CancellationException.class, () -> train(setup(run), cancelling("train", 4)));
    Object step = checkpoint(run, "training").get("step");
    assertEquals(3, step);
    String said = cancelled.getMessage();
    assertTrue(said.startsWith("cancelled at step " + step + " of "), said);
  }

  @Test
  void measuringThatIsCancelledWritesACheckpointOfWhatWasMeasured() {
    Path run = temporary.resolve("measured");
    int examples = 24;
    Setup setup = setup(run).with().sizes(new SplitSizes(20, examples, 4)).build();
    SearchSettings search =
        SearchSettings.builder()
            .measured(
                MeasuringSettings.DEFAULT
                    .with()
                    .supernetExamples(20)
                    .supernetEpochs(1)
                    .measuredExamples(examples)
                    .subsets(24)
                    .build())
            .keep(0.5)
            .build();
    assertThrows(
        CancellationException.class,
        () -> PrunePeft.search(setup, search, cancelling("measure subsets", 1)));
    assertEquals(examples, checkpoint(run, "subsets").get("examples"));
    assertEquals(0, checkpoint(run, "supernet").get("rows"));
  }

  private static final SearchSettings SEARCH =
      SearchSettings.builder()
          .warmUp(WarmUpSettings.DEFAULT.withTurns(1))
          .warmUpExamples(16)
          .warmUpEpochs(1)
          .rounds(2)
          .roundExamples(16)
          .keep(0.5)
          .build();

  /** Cancels a run when a training whose name begins so has ended. */
  private static final class AfterTraining implements ProgressListener {
    private final String training;
    private final List<String> steps = new ArrayList<>();
    private long last;
    private boolean cancelled;

    AfterTraining(String training) {
      this.training = training;
    }

    @Override
    public void started(String name, String unit, long total) {
      last = total;
    }

    @Override
    public void metrics(String name, long step, Map<String, Double> values) {
      if (values.containsKey("learning_rate_factor")) {
        steps.add(name + " " + step);
      } else {
        // Of an epoch.
        cancelled |= name.startsWith(training) && step == last;
      }
    }

    @Override
    public boolean cancelled() {
      return cancelled;
    }
  }

  /** Its trainings are healthy: none is made again at half the rates. */
  private static Setup gentle(Path output) {
    return setup(output)
        .with()
        .training(
            TrainingSettings.builder()
                .maxLength(16)
                .batchSize(4)
                .loraLearningRate(1e-5)
                .adapterLearningRate(1e-5)
                .headLearningRate(1e-5)
                .build())
        .build();
  }

  /** Between its trainings: the next one is written as it begins. */
  @ParameterizedTest
  @ValueSource(strings = {"warm-up turn 1", "round 1"})
  void aSearchThatIsCancelledBetweenTrainingsKeepsThoseBefore(String training) throws IOException {
    Path whole = temporary.resolve("search");
    if (!Files.exists(whole)) {
      PrunePeft.search(gentle(whole), SEARCH, ProgressListener.NONE);
    }
    Path run = temporary.resolve("after-" + training);
    AfterTraining first = new AfterTraining(training);
    assertThrows(CancellationException.class, () -> PrunePeft.search(gentle(run), SEARCH, first));
    assertEquals(0, checkpoint(run, "training").get("step"));
    AfterTraining rest = new AfterTraining("none");
    PrunePeft.search(gentle(run).withCheckpoints(Checkpointing.RESUME), SEARCH, rest);
    List<String> steps = new ArrayList<>(first.steps);
    steps.addAll(rest.steps);
    assertEquals(Set.copyOf(steps).size(), steps.size(), "of " + steps);
    assertEquals(
        -1,
        Files.mismatch(run.resolve("adapter.safetensors"), whole.resolve("adapter.safetensors")));
    assertEquals(-1, Files.mismatch(run.resolve("metrics.jsonl"), whole.resolve("metrics.jsonl")));
  }

  /** Where steps are given, also so many as there are none of. */
  @Test
  void eachTrainingAndEpochOfASearchBeginsWithACheckpoint() throws IOException {
    Path run = temporary.resolve("phases");
    Setup setup =
        setup(run).with().checkpoints(new Checkpointing(1_000_000, false)).epochs(3).build();
    AtomicLong newest = new AtomicLong();
    PrunePeft.search(
        setup,
        SEARCH,
        new ProgressListener() {
          @Override
          public void progress(long done, String detail) {
            newest.accumulateAndGet(RunStatus.newestCheckpoint(run), Math::max);
          }
        });
    List<String> lines = Files.readAllLines(run.resolve("metrics.jsonl"));
    long epochs = lines.stream().filter(line -> line.contains("\"epoch\"")).count();
    assertTrue(epochs > 3 + 2, "of warm-up, rounds and training, not " + epochs);
    assertEquals(epochs, newest.get());
  }

  /** Its result has the checksum of each file: one that lacks a line would be damaged. */
  @Test
  void aPowerCutTakesNothingOfACompleteRun() {
    FailingWrites disk = new FailingWrites();
    train(setup(disk.at(temporary.resolve("above/synced"))), ProgressListener.NONE);
    assertEquals(Set.of(), disk.unsynced());
  }

  @Test
  void aRunWithoutAListenerIsRefusedBeforeItBegins() {
    Path run = temporary.resolve("none");
    var refused = assertThrows(NullPointerException.class, () -> train(setup(run), null));
    assertTrue(refused.getMessage().contains("ProgressListener.NONE"), refused.getMessage());
    assertFalse(Files.exists(run));
  }

  @Test
  void anInterruptedThreadBeginsNoRun() {
    Path run = temporary.resolve("not-begun");
    Thread.currentThread().interrupt();
    assertThrows(CancellationException.class, () -> train(setup(run), ProgressListener.NONE));
    assertTrue(Thread.interrupted());
    assertFalse(Files.exists(run));
  }

  @Test
  void anInterruptOfWhoWaitsForRunsTogetherCancelsAllAndTheirDirectorySaysSo() throws IOException {
    Path runs = temporary.resolve("together");
    Thread caller = Thread.currentThread();
    assertThrows(
        CancellationException.class,
        () ->
            SeedRuns.together(
                setup(runs),
                ModuleChoice.supernet(),
                List.of(1L, 2L),
                ProgressListener.NONE,
                (own, shared) ->
                    PrunePeft.train(
                        own, ModuleChoice.supernet(), interrupting("train", caller), shared)));
    assertTrue(Thread.interrupted());
    for (Path directory : List.of(runs, runs.resolve("seed-1"), runs.resolve("seed-2"))) {
      assertEquals("interrupted", state(directory), directory.toString());
    }
  }

  @Test
  void anInterruptAsAModelIsLoadedCancelsThat() {
    Path run = temporary.resolve("loaded");
    train(setup(run), ProgressListener.NONE);
    Thread.currentThread().interrupt();
    assertThrows(CancellationException.class, () -> TrainedModel.load(run));
    assertTrue(Thread.interrupted());
    TrainedModel.load(run).close();
  }

  @Test
  void aRunThatGoesOnInThisProcessIsNotResumedBesideItself() throws Exception {
    Path run = temporary.resolve("two");
    AtomicReference<RuntimeException> refused = new AtomicReference<>();
    AtomicInteger steps = new AtomicInteger();
    train(
        setup(run),
        new ProgressListener() {
          @Override
          public void progress(long done, String detail) {
            if (steps.incrementAndGet() == 20) {
              refused.set(
                  assertThrows(
                      RunDirectoryException.class,
                      () ->
                          train(
                              setup(run).withCheckpoints(Checkpointing.RESUME),
                              ProgressListener.NONE)));
            }
          }
        });
    assertTrue(refused.get().getMessage().contains("goes on in this process"), refused.toString());
    assertNull(refused.get().getCause());
    assertTrue(Files.exists(run.resolve("result.json")));
  }
}
