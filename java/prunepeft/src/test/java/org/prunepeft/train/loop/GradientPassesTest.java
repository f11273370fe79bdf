package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.DType;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.peer.GateTraining;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.GpuMemoryException;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

/** Passes as a GPU makes them, with the work itself in place of recorded kernels. */
class GradientPassesTest extends TrainingTest {
  /** 16 positions give lengths of 6, 12 and 16. */
  private static final int MULTIPLE = 6;

  private static final int LOSSES = 5;

  private final EncodedDataset data = SmallTask.draw(EMULATED ? 10 : 37, TestSeed.draw());
  private final EncodedDataset validation = SmallTask.draw(EMULATED ? 4 : 23, TestSeed.draw());

  /** Of the modules' weights, of batches and dropout. */
  private final long seed = TestSeed.draw();

  private final RecorderStandIn recorder = new RecorderStandIn();
  private Encoder encoder;

  @BeforeEach
  void makeEncoder() {
    encoder = keep(SmallBert.create());
  }

  private Trainer trainer(TrainingSettings settings, RecordedWork.Recorder recorder, int losses) {
    return keep(new Trainer(encoder, settings, null, Checkpoints.NONE, mode(recorder, losses)));
  }

  private static GradientPasses.Mode mode(RecordedWork.Recorder recorder, int losses) {
    return new GradientPasses.Mode(recorder, MULTIPLE, losses, 0);
  }

  /** LoRA and a serial adapter in each layer; the same weights each time. */
  private TrainingRun run(double dropout, int firstLayer, int epochs, EncodedDataset validation) {
    return run(loraAndAdapters(3, dropout), firstLayer, epochs, validation);
  }

  private TrainingRun run(
      PeftConfig config, int firstLayer, int epochs, EncodedDataset validation) {
    PeftModules modules =
        modules(
            config, candidates(config).stream().filter(one -> one.layer() >= firstLayer).toList());
    modules.initialise(seed, "test");
    return new TrainingRun(modules, head(), data, epochs, seed, validation);
  }

  private static float[] values(Tensor tensor) {
    return Torch.toFloats(tensor.detach());
  }

  private record Step(int number, double loss, double rate) {}

  private static StepListener into(List<Step> steps) {
    return new StepListener() {
      @Override
      public void step(int step, int of, double loss, double rate) {
        steps.add(new Step(step, loss, rate));
      }
    };
  }

  /** Dropout, first layer, batches a step, megabytes for the outputs of lower layers. */
  static Stream<Arguments> trainings() {
    Arguments upper = Arguments.of(0.1, 1, 1, 64);
    // One is enough on an emulated device.
    return EMULATED
        ? Stream.of(upper)
        : Stream.of(
            Arguments.of(0.1, 0, 1, 0),
            Arguments.of(0.3, 0, 2, 0),
            upper,
            Arguments.of(0, 2, 3, 64));
  }

  /** Lengths, last batches, several batches a step, kept lower layers and dropout. */
  @ParameterizedTest
  @MethodSource("trainings")
  void recordedPassesTrainAsCallsDo(
      double dropout, int firstLayer, int accumulation, int cacheMegabytes) {
    int epochs = EMULATED ? 4 : 9;
    TrainingSettings settings =
        TrainingSettings.builder()
            .batchSize(EMULATED ? 2 : 4)
            .gradientAccumulationSteps(accumulation)
            .maxGradNorm(1)
            .activationCacheMegabytes(cacheMegabytes)
            .build();
    List<Step> expectedSteps = new ArrayList<>();
    TrainingRun expected = run(dropout, firstLayer, epochs, validation);
    Trainer.Result byCalls = trainer(settings, null, 1).train(expected, into(expectedSteps));
    List<Step> steps = new ArrayList<>();
    TrainingRun recorded = run(dropout, firstLayer, epochs, validation);
    Trainer.Result result = trainer(settings, recorder, LOSSES).train(recorded, into(steps));

    assertSame(weights(expected), weights(recorded));
    assertEquals(expectedSteps, steps);
    assertEquals(byCalls.validation().metrics(), result.validation().metrics());
    long shapes = recorder.count("record");
    assertTrue(shapes >= 2, "only " + shapes + " shapes were recorded");
    // Of the few steps on an emulated device by chance as many may be of shapes that come seldom.
    long least = EMULATED ? 0 : 2 * shapes;
    assertTrue(recorder.count("launch") > least, "hardly anything was launched");
    assertEquals(shapes, recorder.count("close"));
  }

  /** What modules can sit in an encoder, and an encoder in bfloat16. */
  private enum Kind {
    DORA(lora(false, true, null), null, Precision.FLOAT32),
    ADALORA(
        lora(false, false, new AdaLoraConfig(6, 3, 0, 0, 2, 0.85, 0.85, 0.5, 0)),
        null,
        Precision.FLOAT32),
    HOULSBY(
        null, AdapterConfig.of(7, Activation.GELU, AdapterConfig.Style.HOULSBY), Precision.FLOAT32),
    BFLOAT16(lora(true, false, null), AdapterConfig.of(7, Activation.RELU), Precision.BF16);

    final LoraConfig lora;
    final AdapterConfig adapter;
    final Precision precision;

    Kind(LoraConfig lora, AdapterConfig adapter, Precision precision) {
      this.lora = lora;
      this.adapter = adapter;
      this.precision = precision;
    }

    private static LoraConfig lora(boolean rsLora, boolean dora, AdaLoraConfig adaLora) {
      LoraConfig config =
          LoraConfig.of(3, 5, 0.2, List.of("query", "value"))
              .with()
              .rsLora(rsLora)
              .dora(dora)
              .build();
      return adaLora == null ? config : config.withAdaLora(adaLora);
    }
  }

  @ParameterizedTest
  @EnumSource
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  @FixedSeed(
      "bits are compared, whatever they are; lengths are drawn for recordedPassesTrainAsCallsDo")
  void eachKindOfModuleIsRecordedAsCallsMakeIt(Kind kind) {
    encoder = keep(SmallBert.create(seed, kind.precision));
    PeftConfig config = PeftConfig.of(kind.lora, kind.adapter);
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    TrainingRun expected = run(config, 0, 5, null);
    trainer(settings, null, 1).train(expected, StepListener.NONE);
    TrainingRun recorded = run(config, 0, 5, null);
    trainer(settings, recorder, LOSSES).train(recorded, StepListener.NONE);
    assertSame(weights(expected), weights(recorded));
    assertTrue(recorder.count("launch") > 2, "hardly anything was launched");
  }

  /** Gates change between launches; a recording's first passes leave no gradient in them. */
  @ParameterizedTest
  @EnumSource
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  @FixedSeed(
      "bits are compared, whatever they are; lengths are drawn for recordedPassesTrainAsCallsDo")
  void gatesAreTrainedInRecordedPassesAsInCalls(Kind kind) {
    encoder = keep(SmallBert.create(seed, kind.precision));
    PeftConfig config = PeftConfig.of(kind.lora, kind.adapter);
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    List<double[]> gates = new ArrayList<>();
    List<float[]> weights = new ArrayList<>();
    for (RecordedWork.Recorder by : new RecordedWork.Recorder[] {null, recorder}) {
      TrainingRun run = run(config, 0, 5, null);
      SearchSpace space = config.space(SmallBert.CONFIG);
      GateTraining training = new GateTraining(space, space.totalParameters() / 2, 0.1, seed);
      run.modules().gate(training);
      trainer(settings, by, by == null ? 1 : LOSSES).train(run, StepListener.NONE);
      gates.add(training.probabilities());
      run.modules().groups().values().forEach(group -> weights.add(values(group.values())));
    }
    assertArrayEquals(gates.get(0), gates.get(1));
    int kinds = weights.size() / 2;
    for (int i = 0; i < kinds; i++) {
      assertArrayEquals(weights.get(i), weights.get(kinds + i));
    }
    assertTrue(Arrays.stream(gates.get(0)).distinct().count() > 1, "no gate has moved");
    assertTrue(recorder.count("launch") > 2, "hardly anything was launched");
  }

  /** Eight steps are too few, whatever their shapes. */
  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  @FixedSeed(
      "bits are compared, whatever they are; lengths are drawn for recordedPassesTrainAsCallsDo")
  void whatComesSeldomGoesCallByCall() {
    TrainingSettings settings = TrainingSettings.builder().batchSize(5).build();
    GradientPasses.Mode mode = new GradientPasses.Mode(recorder, MULTIPLE, LOSSES, 8);
    Trainer trainer = keep(new Trainer(encoder, settings, null, Checkpoints.NONE, mode));
    trainer.train(run(0.1, 0, 1, null), StepListener.NONE);
    assertEquals(List.of(), recorder.calls);
    trainer.train(run(0.1, 0, 20, null), StepListener.NONE);
    assertTrue(recorder.count("launch") > 0);
  }

  /** With the output magnitudes measured in some steps, which go call by call. */
  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void statisticsOfARoundAreThoseOfCalls() {
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    List<Object> observations = new ArrayList<>();
    for (RecordedWork.Recorder by : new RecordedWork.Recorder[] {null, recorder}) {
      TrainingRun run = run(0.1, 0, 6, null);
      Trainer trainer = trainer(settings, by, by == null ? 1 : LOSSES);
      CriterionSettings criteria = new CriterionSettings(DType.FLOAT16, 0.1, null, 7);
      try (RoundStatistics statistics =
          new RoundStatistics(run.modules(), criteria, trainer.steps(run), run.epochs())) {
        trainer.train(run, StepListener.NONE, statistics);
        observations.add(statistics.observe());
      }
    }
    assertEquals(observations.get(0), observations.get(1));
    assertTrue(recorder.count("launch") > 0);
  }

  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void moreTokensOfPaddingChangeNothingButRounding() {
    TrainingSettings settings = TrainingSettings.builder().batchSize(5).build();
    Batch batch = new Batches(data, 5).shuffled(seed, 1).iterator().next();
    TrainingRun plain = run(0, 0, 1, null);
    fill(parameters(plain).values(), new Random(seed));
    double expected = SingleStep.loss(keep(new Trainer(encoder, settings)), plain, batch);
    TrainingRun padded = run(0, 0, 1, null);
    fill(parameters(padded).values(), new Random(seed));
    long tokens = 5L * SmallBert.CONFIG.positions();
    assertLossNear(
        expected,
        new SingleStep(padded, batch, 0, null).loss(trainer(settings, null, 1), mode(null, 1)),
        tokens);
    assertNear(
        Map.of("adapter", values(plain.modules().groups().get("adapter").gradients())),
        Map.of("adapter", values(padded.modules().groups().get("adapter").gradients())),
        tokens);
  }

  /**
   * A recording that gives the gradients of the batch that it was recorded with, whatever comes: as
   * if everything had been kept in it.
   */
  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void aRecordingThatKeepsItsBatchIsFoundOut() {
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    TrainingRun expected = run(0.1, 0, 6, null);
    trainer(settings, null, 1).train(expected, StepListener.NONE);
    TrainingRun run = run(0.1, 0, 6, null);
    Tensor gradients = run.modules().groups().get("lora").gradients();
    int[] launches = {0};
    RecordedWork.Recorder keeping =
        new RecordedWork.Recorder() {
          private Tensor given;

          @Override
          public void rehearse(Runnable work) {
            Tensor before = keep(gradients.clone());
            work.run();
            given = keep(gradients.sub(before));
          }

          @Override
          public RecordedWork.Recording record(Runnable work) {
            Tensor kept = given;
            kept.retainReference();
            return new RecordedWork.Recording() {
              @Override
              public void launch() {
                launches[0]++;
                gradients.add_(kept, new org.bytedeco.pytorch.Scalar(1));
              }

              @Override
              public void close() {
                kept.releaseReference();
              }
            };
          }
        };
    trainer(settings, keeping, LOSSES).train(run, StepListener.NONE);
    assertTrue(launches[0] > 0);
    assertSame(weights(expected), weights(run));
  }

  /** Not once a shape: what hinders one hinders the others, and each try waits for the device. */
  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void passesThatCannotBeRecordedAreTriedOnce() {
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    TrainingRun expected = run(0.1, 0, 6, null);
    trainer(settings, null, 1).train(expected, StepListener.NONE);
    recorder.refusal = new IllegalStateException("made up: it waits for the device");
    TrainingRun run = run(0.1, 0, 6, null);
    trainer(settings, recorder, LOSSES).train(run, StepListener.NONE);
    assertEquals(1, recorder.count("record"));
    assertSame(weights(expected), weights(run));
  }

  /** A head that fails once, at so many calls or later, as on a GPU whose memory is full. */
  private TaskHead failing(TaskHead head, String method, int call, Runnable before) {
    int[] left = {call};
    return (TaskHead)
        Proxy.newProxyInstance(
            TaskHead.class.getClassLoader(),
            new Class<?>[] {TaskHead.class},
            (proxy, called, arguments) -> {
              if (called.getName().equals(method)
                  && !recorder.launching
                  && left[0] > 0
                  && --left[0] == 0) {
                before.run();
                throw new IllegalStateException(
                    "CUDA out of memory. Tried to allocate 2.00 GiB.\nException raised from malloc");
              }
              try {
                return called.invoke(head, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private static TrainingRun withHead(TrainingRun run, TaskHead head) {
    return new TrainingRun(
        run.modules(), head, run.data(), run.epochs(), run.seed(), run.validation());
  }

  /** In a later pass, when half of its gradients are added, or in a prediction. */
  @ParameterizedTest
  @CsvSource({"loss, 10", "loss, 14", "outputs, 3"})
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  @FixedSeed(
      "bits are compared, whatever they are; lengths are drawn for recordedPassesTrainAsCallsDo")
  void whereMemoryIsShortRecordingsAreGivenUpAndTrainingGoesOn(String method, int call) {
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    List<Object> observations = new ArrayList<>();
    List<TrainingRun> runs = new ArrayList<>();
    boolean[] failed = {false};
    for (RecordedWork.Recorder by : new RecordedWork.Recorder[] {null, recorder}) {
      TrainingRun plain = run(0.1, 0, 6, validation);
      TrainingRun run =
          by == null
              ? plain
              : withHead(
                  plain,
                  failing(
                      plain.head(),
                      method,
                      call,
                      () -> {
                        failed[0] = true;
                        assertTrue(recorder.count("record") > 0, "nothing is recorded yet");
                        if (method.equals("loss")) {
                          plain
                              .modules()
                              .gradients()
                              .forEach(gradients -> gradients.add_(new Scalar(3)));
                        }
                      }));
      Trainer trainer = trainer(settings, by, by == null ? 1 : LOSSES);
      CriterionSettings criteria = new CriterionSettings(DType.FLOAT16, 0.1, null, 7);
      try (RoundStatistics statistics =
          new RoundStatistics(run.modules(), criteria, trainer.steps(run), run.epochs())) {
        trainer.train(run, StepListener.NONE, statistics);
        observations.add(statistics.observe());
      }
      runs.add(plain);
    }
    assertTrue(failed[0], "memory was never short");
    assertSame(weights(runs.get(0)), weights(runs.get(1)));
    assertEquals(observations.get(0), observations.get(1));
    assertEquals(recorder.count("record"), recorder.count("close"));
    int closed = recorder.calls.indexOf("close");
    assertFalse(recorder.calls.subList(closed, recorder.calls.size()).contains("launch"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"loss", "outputs"})
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void whereNothingCanBeGivenUpTheErrorSaysWhatTakesLess(String method) {
    TrainingRun plain = run(0.1, 0, 1, validation);
    TrainingRun run = withHead(plain, failing(plain.head(), method, 1, () -> {}));
    Trainer trainer = trainer(TrainingSettings.builder().batchSize(4).build(), null, 1);
    GpuMemoryException error =
        assertThrows(GpuMemoryException.class, () -> trainer.train(run, StepListener.NONE));
    assertTrue(error.getMessage().contains("2.00 GiB"), error.getMessage());
    assertTrue(error.getMessage().contains("--batch-size"), error.getMessage());
    assertFalse(error.getMessage().contains("raised from"), error.getMessage());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, LOSSES, 1000})
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void aListenerThatCancelsHasBeenToldOfAllSteps(int losses) {
    TrainingRun run = run(0.1, 0, 3, null);
    Trainer trainer = trainer(TrainingSettings.builder().batchSize(4).build(), recorder, losses);
    List<Integer> reported = new ArrayList<>();
    int[] asked = {0};
    assertThrows(
        CancellationException.class,
        () ->
            trainer.train(
                run,
                new StepListener() {
                  @Override
                  public void step(int step, int of, double loss, double rate) {
                    reported.add(step);
                  }

                  @Override
                  public boolean cancelled() {
                    return asked[0]++ == 8;
                  }
                }));
    assertEquals(List.of(1, 2, 3, 4, 5, 6, 7, 8), reported);
  }

  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void aLossThatIsNotFiniteNamesItsStep() {
    TrainingSettings settings =
        TrainingSettings.builder().batchSize(4).headLearningRate(1e38).warmupRatio(0).build();
    List<String> messages = new ArrayList<>();
    for (int losses : new int[] {1, LOSSES}) {
      Trainer trainer = trainer(settings, null, losses);
      messages.add(
          assertThrows(
                  IllegalStateException.class,
                  () -> trainer.train(run(0, 0, 9, null), StepListener.NONE))
              .getMessage());
    }
    String place = "the output of the head";
    assertTrue(
        messages.get(0).contains(": the first that is not finite is " + place), messages.get(0));
    assertTrue(messages.get(1).contains(": it was read too late"), messages.get(1));
    // Step and examples are the same.
    assertEquals(messages.get(0).split(": ")[0], messages.get(1).split(": ")[0]);
  }
}
