package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.kernels.DType;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.ForwardingEncoder;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.ModuleStatistics;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

/** Trained together, each run becomes what it becomes alone. */
@Timeout(3600)
class TrainingsInStepTest extends TrainingTest {
  /**
   * All batches have the length of the longest sequences, alone and together: dropout's masks go by
   * padded rows.
   */
  private static final int LENGTH = SmallBert.CONFIG.positions();

  /** Of a batch of 4 texts or 2, twice where gradients are accumulated. */
  private static final int TOKENS = 8 * LENGTH;

  /**
   * Adam's step is the learning rate, whatever the size of a gradient: where that is as small as
   * its rounding, or ReLU's argument is within it, an element may differ by a part of a step. Other
   * rows or masks move all elements by whole steps.
   */
  private static final double PART_OF_STEP = TrainingSettings.DEFAULT.loraLearningRate() / 2;

  /** To a multiple of so many tokens batches are padded. */
  private int multiple = LENGTH;

  private final long dataSeed = TestSeed.draw();
  private Encoder encoder;

  @BeforeEach
  void makeEncoder() {
    encoder = keep(SmallBert.create());
  }

  /** What sits in the encoder of a member: other layers and kinds of each. */
  private enum Kind {
    LORA_AND_ADAPTERS {
      @Override
      PeftConfig config(int member) {
        return loraAndAdapters(3 + member, 0.1);
      }
    },
    WITHOUT_DROPOUT {
      @Override
      PeftConfig config(int member) {
        return loraAndAdapters(3 + member, 0);
      }
    },
    DORA {
      @Override
      PeftConfig config(int member) {
        return PeftConfig.of(
            LoraConfig.of(3, 5, 0.2, List.of("key", "value")).withDora(true), null);
      }
    };

    abstract PeftConfig config(int member);
  }

  /** The same weights each time. */
  private TrainingRun run(int member, Kind kind, int lowest, int epochs, int examples) {
    PeftConfig config = kind.config(member);
    List<Candidate> candidates =
        candidates(config).stream()
            .filter(candidate -> candidate.layer() >= lowest)
            .filter(candidate -> (candidate.layer() + member) % 3 != 2)
            .toList();
    PeftModules modules = modules(config, candidates);
    modules.initialise(member, "test");
    EncodedDataset data = SmallTask.draw(examples, dataSeed + member);
    EncodedDataset validation = SmallTask.draw(9, dataSeed - 1 - member);
    return new TrainingRun(modules, head(), data, epochs, 100 + member, validation);
  }

  private Trainer trainer(
      TrainingSettings settings, TrainingsInStep inStep, RecordedWork.Recorder recorder) {
    return keep(
        new Trainer(
            encoder,
            settings,
            inStep,
            Checkpoints.NONE,
            new GradientPasses.Mode(recorder, multiple, 4, 0)));
  }

  private static void assertNear(Map<String, float[]> expected, Map<String, float[]> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach(
        (name, values) -> Rounding.assertNear(values, actual.get(name), PART_OF_STEP, name));
  }

  private List<Trainer.Outcome> together(
      TrainingSettings settings, List<TrainingRun> runs, List<StepListener> listeners)
      throws InterruptedException {
    return together(runs, listeners, inStep -> trainer(settings, inStep, null));
  }

  /** Trains each run with a thread and a trainer of its own; how each ended. */
  static List<Trainer.Outcome> together(
      List<TrainingRun> runs,
      List<StepListener> listeners,
      Function<TrainingsInStep, Trainer> trainers)
      throws InterruptedException {
    TrainingsInStep inStep = new TrainingsInStep(runs.size());
    Trainer.Outcome[] outcomes = new Trainer.Outcome[runs.size()];
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      int member = i;
      Trainer trainer = trainers.apply(inStep);
      Thread thread =
          new Thread(
              () -> {
                inStep.join();
                try {
                  outcomes[member] =
                      new Trainer.Outcome(
                          trainer.train(runs.get(member), listeners.get(member)), null);
                } catch (RuntimeException e) {
                  outcomes[member] = new Trainer.Outcome(null, e);
                } finally {
                  inStep.leave();
                }
              });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    return Arrays.asList(outcomes);
  }

  private record Case(Kind kind, int lowest, int accumulation, boolean recorded) {}

  /** Of the cases below; one a kind is enough on an emulated device. */
  static IntStream cases() {
    return EMULATED ? IntStream.of(0, 3) : IntStream.range(0, 6);
  }

  /** Examples, and so steps, differ: members drop out one after the other. */
  @ParameterizedTest
  @MethodSource("cases")
  void eachBecomesWhatItBecomesAlone(int number) throws InterruptedException {
    Case one =
        List.of(
                new Case(Kind.LORA_AND_ADAPTERS, 0, 1, true),
                new Case(Kind.LORA_AND_ADAPTERS, 0, 2, false),
                new Case(Kind.LORA_AND_ADAPTERS, 1, 1, true),
                new Case(Kind.DORA, 0, 1, false),
                new Case(Kind.WITHOUT_DROPOUT, 0, 1, false),
                new Case(Kind.LORA_AND_ADAPTERS, 1, 1, false))
            .get(number);
    // What is recorded is launched after some steps.
    int epochs = EMULATED || !one.recorded ? 2 : 3;
    if (one.kind == Kind.WITHOUT_DROPOUT) {
      // Together batches are padded to the longest of all members.
      multiple = 1;
    }
    int batch = EMULATED ? 2 : 4;
    TrainingSettings settings =
        TrainingSettings.builder()
            .batchSize(batch)
            .gradientAccumulationSteps(one.accumulation)
            .activationCacheMegabytes(one.lowest > 0 ? 64 : 0)
            .build();
    int[] examples = EMULATED ? new int[] {11, 7} : new int[] {21, 13, 21};
    // Of one epoch nothing is kept of the lower layers, of the others' there is.
    int[] epochsOf = {epochs, number == 5 ? 1 : epochs, epochs};
    List<TrainingRun> runs = new ArrayList<>();
    List<List<Double>> losses = new ArrayList<>();
    List<StepListener> listeners = new ArrayList<>();
    for (int member = 0; member < examples.length; member++) {
      runs.add(run(member, one.kind, one.lowest, epochsOf[member], examples[member]));
      losses.add(new ArrayList<>());
      listeners.add(eachLoss(losses.get(member)::add));
    }
    RecorderStandIn recorder = new RecorderStandIn();
    List<Trainer.Outcome> outcomes =
        together(
            runs, listeners, inStep -> trainer(settings, inStep, one.recorded ? recorder : null));
    outcomes.forEach(Trainer.Outcome::get);
    assertTrue(!one.recorded || recorder.count("launch") > 0);
    for (int member = 0; member < examples.length; member++) {
      TrainingRun alone = run(member, one.kind, one.lowest, epochsOf[member], examples[member]);
      Trainer trainer = trainer(settings, null, null);
      List<Double> lossesAlone = new ArrayList<>();
      Trainer.Result resultAlone = trainer.train(alone, eachLoss(lossesAlone::add));
      assertNear(weights(alone), weights(runs.get(member)));
      assertEquals(trainer.steps(alone), lossesAlone.size());
      assertNear(lossesAlone, losses.get(member));
      assertNear(resultAlone, outcomes.get(member).get(), lossesAlone.size());
    }
  }

  private static void assertNear(List<Double> expected, List<Double> actual) {
    assertEquals(expected.size(), actual.size());
    for (int step = 0; step < expected.size(); step++) {
      double loss = expected.get(step);
      double share = share(TOKENS, 1 + step);
      Rounding.assertNear(loss, actual.get(step), share * loss, "loss of step " + step);
    }
  }

  private static void assertNear(Trainer.Result expected, Trainer.Result actual, int steps) {
    assertEquals(expected.epochs(), actual.epochs());
    assertEquals(expected.bestEpoch(), actual.bestEpoch());
    double loss = expected.validation().loss();
    double limit = share(TOKENS, steps) * loss;
    Rounding.assertNear(loss, actual.validation().loss(), limit, "validation loss");
  }

  /** One pass through the encoder is what it is about. */
  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void aStepOfAllIsOnePassThroughTheEncoder() throws InterruptedException {
    AtomicInteger passes = new AtomicInteger();
    Encoder whole = encoder;
    encoder =
        new ForwardingEncoder(whole) {
          @Override
          public org.bytedeco.pytorch.Tensor embed(EncoderInput input) {
            passes.incrementAndGet();
            return super.embed(input);
          }
        };
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    List<TrainingRun> runs = new ArrayList<>();
    for (int member = 0; member < 3; member++) {
      TrainingRun run = run(member, Kind.LORA_AND_ADAPTERS, 0, 2, 20);
      runs.add(
          new TrainingRun(run.modules(), run.head(), run.data(), run.epochs(), run.seed(), null));
    }
    together(settings, runs, java.util.Collections.nCopies(3, StepListener.NONE));
    assertEquals(2 * 5, passes.get());
  }

  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void whoEndsEarlyLeavesTheOthersAlone() throws InterruptedException {
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    List<TrainingRun> runs = new ArrayList<>();
    List<StepListener> listeners = new ArrayList<>();
    for (int member = 0; member < 3; member++) {
      runs.add(run(member, Kind.LORA_AND_ADAPTERS, 0, 2, 20));
    }
    listeners.add(StepListener.NONE);
    int[] asked = {0};
    listeners.add(
        new StepListener() {
          @Override
          public boolean cancelled() {
            return asked[0]++ == 3;
          }
        });
    listeners.add(
        new StepListener() {
          @Override
          public void epoch(int epoch, int epochs, double loss, org.prunepeft.train.Evaluation e) {
            throw new IllegalStateException("made up: the disk is full");
          }
        });
    List<Trainer.Outcome> outcomes = together(settings, runs, listeners);
    assertNull(outcomes.get(0).failure());
    assertInstanceOf(CancellationException.class, outcomes.get(1).failure());
    assertEquals("made up: the disk is full", outcomes.get(2).failure().getMessage());
    TrainingRun alone = run(0, Kind.LORA_AND_ADAPTERS, 0, 2, 20);
    trainer(settings, null, null).train(alone, StepListener.NONE);
    assertNear(weights(alone), weights(runs.get(0)));
  }

  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void statisticsAreThoseOfEachAlone() {
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    CriterionSettings criteria = new CriterionSettings(DType.FLOAT16, 0.1, null, 2);
    List<Map<String, ModuleStatistics>> alone = new ArrayList<>();
    List<Trainer.Request> requests = new ArrayList<>();
    Trainer trainer = trainer(settings, null, null);
    for (boolean together : new boolean[] {false, true}) {
      for (int member = 0; member < 2; member++) {
        TrainingRun run = run(member, Kind.LORA_AND_ADAPTERS, 0, 1, 20);
        RoundStatistics statistics =
            keep(new RoundStatistics(run.modules(), criteria, trainer.steps(run), run.epochs()));
        if (together) {
          requests.add(new Trainer.Request(run, StepListener.NONE, statistics, Checkpoints.NONE));
        } else {
          trainer.train(run, StepListener.NONE, statistics);
          alone.add(statistics.observe().whole());
        }
      }
    }
    trainer.train(requests).forEach(Trainer.Outcome::get);
    for (int member = 0; member < 2; member++) {
      Map<String, ModuleStatistics> own = requests.get(member).statistics().observe().whole();
      assertEquals(alone.get(member).keySet(), own.keySet());
      alone
          .get(member)
          .forEach(
              (name, expected) -> {
                ModuleStatistics actual = own.get(name);
                // Over 5 steps; a square is off by twice the share.
                double share = 2 * 5 * share(TOKENS);
                double sumG2 = expected.sumG2();
                Rounding.assertNear(sumG2, actual.sumG2(), share * sumG2, name);
                double output = expected.meanAbsOutput();
                Rounding.assertNear(output, actual.meanAbsOutput(), share * output, name);
                assertTrue(actual.meanAbsOutput() > 0, name);
              });
    }
  }
}
