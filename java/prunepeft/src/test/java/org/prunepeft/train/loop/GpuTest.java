package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.optimizer.Optimizer;
import org.prunepeft.train.optimizer.ParameterGroup;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Trainings on a GPU, with graphs and without, become what they become on the CPU. Where no GPU can
 * be used these tests are skipped, with the reason.
 *
 * <p>Dropout's masks go by the rows of padded batches. So all batches, on the CPU too, have the
 * length of the longest sequences, to which a GPU pads them.
 */
@Timeout(3600)
class GpuTest extends TrainingTest {
  private static final String GRAPHS = "prunepeft.cuda-graphs";
  private static final int LENGTH = SmallBert.CONFIG.positions();
  private static final int EPOCHS = 6;
  private static final int MEMBERS = 3;
  private static final TrainingSettings SETTINGS =
      TrainingSettings.builder().batchSize(4).maxGradNorm(1).build();

  /** Of what a training changes, in float32: AdamW makes more of roundings than they are. */
  private static final double MOST_DISTANCE = 1e-2;

  /** Between two roundings in 16 bits, as a multiple of one's distance from float32. */
  private static final double MOST_ROUNDINGS = 2;

  /** The property before the test; null: it is not set. */
  private final String graphs = System.getProperty(GRAPHS);

  private final long seed = TestSeed.draw();
  private ComputeDevice gpu;

  private static WatchedRecorder recorder(ComputeDevice device) {
    return new WatchedRecorder(RecordedWork.recorder(device).orElseThrow());
  }

  @BeforeEach
  void findGpu() {
    ComputeDevice.cudaAbsence()
        .ifPresent(reason -> assumeTrue(false, "no GPU can be used: " + reason));
    gpu = ComputeDevice.parse("cuda:0");
  }

  @AfterEach
  void allowGraphs() {
    if (graphs == null) {
      System.clearProperty(GRAPHS);
    } else {
      System.setProperty(GRAPHS, graphs);
    }
  }

  private Encoder encoder(Precision precision, ComputeDevice device) {
    return keep(SmallBert.create(seed, precision, device));
  }

  /** The same weights for the same member. */
  private TrainingRun run(int member, ComputeDevice device) {
    PeftConfig config = loraAndAdapters(3 + member, 0.1);
    PeftModules modules =
        keep(new PeftModules(config, SmallBert.CONFIG, candidates(config), device));
    modules.initialise(seed + member, "test");
    EncodedDataset data = SmallTask.draw(37, seed + member);
    return new TrainingRun(modules, head(device), data, EPOCHS, seed + member, null);
  }

  private static void copyWeights(TrainingRun from, TrainingRun to) {
    Map<String, FlatParameters> targets = parameters(to);
    parameters(from)
        .forEach(
            (name, group) ->
                group
                    .names()
                    .forEach(
                        weight ->
                            targets
                                .get(name)
                                .put(weight, Torch.toFloats(group.get(weight).detach()))));
  }

  private Map<String, float[]> trainOnCpu(int member, Precision precision) {
    TrainingRun run = run(member, ComputeDevice.CPU);
    Encoder encoder = encoder(precision, ComputeDevice.CPU);
    keep(new Trainer(
            encoder, SETTINGS, null, Checkpoints.NONE, new GradientPasses.Mode(null, LENGTH, 1, 0)))
        .train(run, StepListener.NONE);
    return weights(run);
  }

  /** ‖a − b‖ / ‖b − before‖ for each group. */
  private static double distance(
      Map<String, float[]> a, Map<String, float[]> b, Map<String, float[]> before) {
    double largest = 0;
    assertEquals(b.keySet(), a.keySet());
    for (String name : b.keySet()) {
      double apart = norm(a.get(name), b.get(name));
      double changed = norm(b.get(name), before.get(name));
      assertTrue(changed > 0, name + " was not trained");
      assertFalse(Double.isNaN(apart), name + " has NaN");
      largest = Math.max(largest, apart / changed);
    }
    return largest;
  }

  private static double norm(float[] a, float[] b) {
    assertEquals(a.length, b.length);
    double squares = 0;
    for (int i = 0; i < a.length; i++) {
      squares += (a[i] - b[i]) * (double) (a[i] - b[i]);
    }
    return Math.sqrt(squares);
  }

  private static double largestDifference(float[] a, float[] b) {
    assertEquals(a.length, b.length);
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      assertFalse(Float.isNaN(a[i]));
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  /** How far a training on the GPU may be from the CPU's. */
  private double mostDistance(
      Precision precision, Map<String, float[]> onCpu, Map<String, float[]> before) {
    return precision == Precision.FLOAT32
        ? MOST_DISTANCE
        : MOST_ROUNDINGS * distance(onCpu, trainOnCpu(0, Precision.FLOAT32), before);
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void trainingsBecomeWhatTheyBecomeOnTheCpu(Precision precision) {
    Map<String, float[]> before = weights(run(0, ComputeDevice.CPU));
    Map<String, float[]> onCpu = trainOnCpu(0, precision);
    double most = mostDistance(precision, onCpu, before);

    Encoder encoder = encoder(precision, gpu);
    TrainingRun recorded = run(0, gpu);
    WatchedRecorder recorder = recorder(gpu);
    Trainer trainer =
        keep(
            new Trainer(
                encoder,
                SETTINGS,
                null,
                Checkpoints.NONE,
                new GradientPasses.Mode(recorder, LENGTH, 5, 0)));
    trainer.train(recorded, StepListener.NONE);
    assertTrue(recorder.recordings > 0, "no graph was recorded");
    assertTrue(
        recorder.launches > trainer.steps(recorded) / 2,
        recorder.launches + " launches in " + trainer.steps(recorded) + " steps");
    double apart = distance(weights(recorded), onCpu, before);
    assertTrue(apart <= most, "with graphs: " + apart + " of the change, at most " + most);

    System.setProperty(GRAPHS, "false");
    assertTrue(RecordedWork.recorder(gpu).isEmpty());
    TrainingRun byCalls = run(0, gpu);
    keep(new Trainer(encoder, SETTINGS)).train(byCalls, StepListener.NONE);
    apart = distance(weights(byCalls), onCpu, before);
    assertTrue(apart <= most, "call by call: " + apart + " of the change, at most " + most);
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void severalSeedsTogetherBecomeWhatTheyBecomeOnTheCpu(Precision precision) throws Exception {
    Map<String, float[]> first = weights(run(0, ComputeDevice.CPU));
    double most = mostDistance(precision, trainOnCpu(0, precision), first);
    Encoder encoder = encoder(precision, gpu);
    WatchedRecorder recorder = recorder(gpu);
    List<TrainingRun> runs = new ArrayList<>();
    for (int member = 0; member < MEMBERS; member++) {
      runs.add(run(member, gpu));
    }
    List<Trainer.Outcome> outcomes =
        TrainingsInStepTest.together(
            runs,
            Collections.nCopies(MEMBERS, StepListener.NONE),
            inStep ->
                keep(
                    new Trainer(
                        encoder,
                        SETTINGS,
                        inStep,
                        Checkpoints.NONE,
                        new GradientPasses.Mode(recorder, LENGTH, 5, 0))));
    outcomes.forEach(Trainer.Outcome::get);
    assertTrue(recorder.launches > 0, "no graph was launched");
    for (int member = 0; member < MEMBERS; member++) {
      Map<String, float[]> before = weights(run(member, ComputeDevice.CPU));
      double apart = distance(weights(runs.get(member)), trainOnCpu(member, precision), before);
      assertTrue(apart <= most, "member " + member + ": " + apart + ", at most " + most);
    }
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void predictionsAreTheCpus(Precision precision) {
    TrainingRun trained = run(0, gpu);
    Trainer trainer = keep(new Trainer(encoder(precision, gpu), SETTINGS));
    trainer.train(trained, StepListener.NONE);
    EncodedDataset data = SmallTask.draw(70, seed - 1);
    float[] actual = outputs(trainer, trained, data);
    TrainingRun copy = run(0, ComputeDevice.CPU);
    copyWeights(trained, copy);
    float[] expected =
        outputs(keep(new Trainer(encoder(precision, ComputeDevice.CPU), SETTINGS)), copy, data);
    float[] exact =
        outputs(
            keep(new Trainer(encoder(Precision.FLOAT32, ComputeDevice.CPU), SETTINGS)), copy, data);
    double most =
        precision == Precision.FLOAT32 ? 1e-4 : MOST_ROUNDINGS * largestDifference(expected, exact);
    double apart = largestDifference(actual, expected);
    assertTrue(apart <= most, apart + " apart, at most " + most);
  }

  /** Probabilities of all classes. */
  private static float[] outputs(Trainer trainer, TrainingRun run, EncodedDataset data) {
    Predictions predictions = trainer.predictor().predict(run.modules(), run.head(), data);
    int classes = SmallTask.SCHEMA.outputs();
    float[] outputs = new float[predictions.size() * classes];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = (float) predictions.probabilities(i / classes)[i % classes];
    }
    return outputs;
  }

  /** Of AdamW, from gradients that are the same on both. */
  @Test
  void theUpdateIsLaunchedAndIsTheCpus() {
    Random random = new Random(seed);
    List<float[]> results = new ArrayList<>();
    List<float[]> gradients = new ArrayList<>();
    for (int step = 0; step < 8; step++) {
      float[] gradient = new float[300];
      for (int i = 0; i < gradient.length; i++) {
        gradient[i] = (float) random.nextGaussian();
      }
      gradients.add(gradient);
    }
    WatchedRecorder recorder = recorder(gpu);
    for (ComputeDevice device : List.of(ComputeDevice.CPU, gpu)) {
      FlatParameters parameters =
          keep(new FlatParameters(device, Map.of("weight", new long[] {20, 15})));
      float[] start = new float[300];
      Arrays.fill(start, 0.5f);
      parameters.put("weight", start);
      List<ParameterGroup> groups = List.of(new ParameterGroup("test", parameters, 1e-2));
      try (Optimizer optimizer =
          device.isCuda()
              ? new Optimizer(SETTINGS, groups, recorder)
              : new Optimizer(SETTINGS, groups)) {
        for (int step = 0; step < gradients.size(); step++) {
          parameters.gradient("weight").copy_(device.floats(gradients.get(step), 20, 15));
          optimizer.step(1.0 / (1 + step));
        }
      }
      results.add(Torch.toFloats(parameters.values().detach()));
    }
    assertEquals(1, recorder.recordings);
    assertTrue(recorder.launches >= gradients.size() - 3, recorder.launches + " launches");
    assertTrue(largestDifference(results.get(0), results.get(1)) < 1e-5);
  }
}
