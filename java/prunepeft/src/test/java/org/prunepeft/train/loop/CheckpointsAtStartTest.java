package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Checkpoints where a training, an epoch or the measuring of subsets begins, and where they are
 * cancelled: here none is due at a step. What goes on from one ends with the same bits.
 */
class CheckpointsAtStartTest extends TrainingTest {
  private static final int EPOCHS = 3;
  private static final TrainingSettings SETTINGS = TrainingSettings.builder().batchSize(4).build();

  private final long seed = TestSeed.draw();
  private Encoder encoder;

  @BeforeEach
  void makeEncoder() {
    encoder = keep(SmallBert.create());
  }

  private Trainer trainer(Checkpoints checkpoints) {
    return keep(new Trainer(encoder, SETTINGS, null, checkpoints));
  }

  /** The same weights and data each time. */
  private TrainingRun run(int member, int epochs, int examples) {
    PeftConfig config = loraAndAdapters(3, 0.1);
    PeftModules modules = modules(config, candidates(config));
    modules.initialise(member, "test");
    return new TrainingRun(
        modules,
        head(),
        SmallTask.draw(examples, seed + member),
        epochs,
        member,
        SmallTask.draw(9, seed - 1 - member));
  }

  /** Runs of so many examples, which are to be trained together. */
  private List<Trainer.Request> requests(
      StatesInMemory states, int epochs, IntFunction<StepListener> listener, int... examples) {
    return IntStream.range(0, examples.length)
        .mapToObj(
            member ->
                new Trainer.Request(
                    run(member, epochs, examples[member]),
                    listener.apply(member),
                    null,
                    states.of("run " + member)))
        .toList();
  }

  /** Trains runs of so many examples together. */
  private List<Map<String, float[]>> train(StatesInMemory states, int epochs, int... examples) {
    List<Trainer.Request> requests =
        requests(states, epochs, member -> StepListener.NONE, examples);
    trainer(Checkpoints.NONE).train(requests).forEach(Trainer.Outcome::get);
    return requests.stream().map(request -> weights(request.run())).toList();
  }

  private static List<Object> saved(StatesInMemory states, String what, int members) {
    return IntStream.range(0, members)
        .mapToObj(member -> states.saved("run %d/training/%s".formatted(member, what)))
        .collect(Collectors.toList());
  }

  /** Goes on from each that was saved. */
  private void assertSameFromEach(
      List<Map<String, float[]>> whole, StatesInMemory states, int epochs, int... examples) {
    for (Map<String, Object> state : states.saved()) {
      List<Map<String, float[]>> resumed = train(StatesInMemory.from(state), epochs, examples);
      for (int member = 0; member < examples.length; member++) {
        assertSame(whole.get(member), resumed.get(member));
      }
    }
  }

  @Test
  void aTrainingAndEachOfItsEpochsBeginWithOne() {
    StatesInMemory states = StatesInMemory.ofNew();
    List<Map<String, float[]>> whole = train(states, EPOCHS, 21);
    assertEquals(List.of(List.of(0, 6, 12)), saved(states, "step", 1));
    assertEquals(List.of(List.of(0, 2, 3)), saved(states, "epoch", 1));
    assertSameFromEach(whole, states, EPOCHS, 21);
    // Not once more where it goes on.
    StatesInMemory second = StatesInMemory.from(states.saved().get(1));
    train(second, EPOCHS, 21);
    assertEquals(List.of(List.of(12)), saved(second, "step", 1));
  }

  /** Of trainings of 6, 4 and 6 steps an epoch, until the second one has ended. */
  @Test
  void whereOneOfSeveralBeginsAnEpochTheOthersMayBeInTheMiddleOfTheirs() {
    StatesInMemory states = StatesInMemory.ofNew();
    int[] examples = {21, 13, 21};
    List<Map<String, float[]>> whole = train(states, 2, examples);
    List<Integer> steps = List.of(0, 4, 6);
    assertEquals(List.of(steps, steps, steps), saved(states, "step", 3));
    assertEquals(
        List.of(List.of(0, 1, 2), List.of(0, 2, 2), List.of(0, 1, 2)), saved(states, "epoch", 3));
    assertSameFromEach(whole, states, 2, examples);
  }

  /** Of trainings of 6, 4 and 2 steps an epoch, the second in its first validation. */
  @Test
  void whereOneOfSeveralIsCancelledInItsValidationAllAreWritten() {
    StatesInMemory states = StatesInMemory.ofNew();
    int[] examples = {21, 13, 5};
    StepListener cancelling =
        new StepListener() {
          private int asked;

          @Override
          public void step(int step, int of, double loss, double rate) {
            asked = 0;
          }

          @Override
          public boolean cancelled() {
            // Once before a step.
            return asked++ > 0;
          }
        };
    List<Trainer.Request> requests =
        requests(states, 3, member -> member == 1 ? cancelling : StepListener.NONE, examples);
    List<Trainer.Outcome> outcomes = trainer(Checkpoints.NONE).train(requests);
    assertEquals(
        "cancelled after step 4 of 12",
        assertThrows(CancellationException.class, outcomes.get(1)::get).getMessage());
    List<Integer> steps = List.of(0, 2, 4);
    assertEquals(List.of(steps, steps, steps), saved(states, "step", 3));
    assertEquals(
        List.of(List.of(0, 1, 1), List.of(0, 1, 1), List.of(0, 2, 3)), saved(states, "epoch", 3));
    assertSameFromEach(train(StatesInMemory.ofNew(), 3, examples), states, 3, examples);
  }

  /** Before any step, in an epoch and where one begins, which has its own then. */
  @ParameterizedTest
  @ValueSource(ints = {0, 2, 6})
  void aTrainingThatIsCancelledWritesOneOfTheStepThatItHasReached(int step) {
    StatesInMemory states = StatesInMemory.ofNew();
    Trainer trainer = trainer(states.of("run"));
    int[] asked = {0};
    StepListener cancelling =
        new StepListener() {
          @Override
          public boolean cancelled() {
            return asked[0]++ == step;
          }
        };
    // In an epoch's validation it would be asked too.
    TrainingRun run = run(0, EPOCHS, 21);
    TrainingRun unvalidated =
        new TrainingRun(run.modules(), run.head(), run.data(), EPOCHS, run.seed(), null);
    CancellationException cancelled =
        assertThrows(CancellationException.class, () -> trainer.train(unvalidated, cancelling));
    assertEquals("cancelled at step %d of 18".formatted(step), cancelled.getMessage());
    List<Object> saved = states.saved("run/training/step");
    assertEquals(step == 0 ? List.of(0) : List.of(0, step), saved);
  }

  private record Measured(List<float[]> outputs, List<Integer> done) {}

  /** Measures subsets of a supernet; the same weights and data each time. */
  private Measured measure(StatesInMemory states, IntConsumer progress) {
    PeftConfig config = loraAndAdapters(3, 0);
    List<Candidate> all = candidates(config);
    PeftModules modules = modules(config, all);
    modules.initialise(1, "test");
    Head head = head();
    fill(List.of(head.parameters()), new Random(seed));
    EncodedDataset data = SmallTask.draw(400, seed);
    List<Integer> done = new ArrayList<>();
    List<Predictions> predictions =
        trainer(states.of("run"))
            .predictor()
            .predict(
                modules,
                head,
                data,
                List.of(all, all.subList(0, 2), List.of()),
                now -> {
                  done.add(now);
                  progress.accept(now);
                });
    return new Measured(predictions.stream().map(Predictions::outputs).toList(), done);
  }

  private static void assertSame(Measured expected, Measured actual) {
    for (int i = 0; i < expected.outputs.size(); i++) {
      assertArrayEquals(expected.outputs.get(i), actual.outputs.get(i), "subset " + i);
    }
  }

  @Test
  void measuringBeginsWithOneAndWritesOneWhereItIsCancelled() {
    StatesInMemory states = StatesInMemory.ofNew();
    Measured whole = measure(states, done -> {});
    assertEquals(List.of(0), states.saved("run/subsets/batches"));
    assertSame(whole, measure(StatesInMemory.from(states.saved().get(0)), done -> {}));

    StatesInMemory cancelled = StatesInMemory.ofNew();
    int second = whole.done.get(1);
    assertThrows(
        CancellationException.class,
        () ->
            measure(
                cancelled,
                done -> {
                  if (done == second) {
                    throw new CancellationException();
                  }
                }));
    assertEquals(List.of(0, 2), cancelled.saved("run/subsets/batches"));
    assertEquals(List.of(0, second), cancelled.saved("run/subsets/examples"));
    Measured rest = measure(StatesInMemory.from(cancelled.saved().get(1)), done -> {});
    assertSame(whole, rest);
    assertEquals(whole.done.subList(2, whole.done.size()), rest.done);
  }
}
