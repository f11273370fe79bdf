package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.ForwardingEncoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Observation;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.peer.GateTraining;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

/** Trainings whose numbers cease to be numbers. */
class NonFiniteTest extends TrainingTest {
  private static final int EXAMPLES = 12;
  private static final int BATCH = 4;

  /** A token that one example has. */
  private static final int RARE = SmallBert.CONFIG.vocabulary() - 1;

  private static final int ODD = 5;

  private final Random random = TestSeed.random();

  /** Token sequences of which one has the rare token. */
  private EncodedDataset data() {
    List<Encoding> encodings = new ArrayList<>();
    double[] labels = new double[EXAMPLES];
    for (int i = 0; i < EXAMPLES; i++) {
      int length = 2 + random.nextInt(6);
      int[] ids = random.ints(length, 0, RARE).toArray();
      if (i == ODD) {
        ids[1] = RARE;
      }
      encodings.add(new Encoding(ids, new int[length]));
      labels[i] = ids[0] % SmallTask.SCHEMA.outputs();
    }
    return EncodedDataset.of(encodings, labels);
  }

  private TrainingRun run(int epochs) {
    PeftConfig config = loraAndAdapters(3, 0);
    TrainingRun run =
        new TrainingRun(
            modules(config, candidates(config)), head(), data(), epochs, TestSeed.draw(), null);
    fill(parameters(run).values(), random);
    return run;
  }

  private Trainer trainer(Encoder encoder, NonFinite nonFinite) {
    return keep(
        new Trainer(
            keep(encoder),
            TrainingSettings.builder().batchSize(BATCH).nonFinite(nonFinite).build()));
  }

  private static void assertContains(String part, String text) {
    assertTrue(text.contains(part), () -> "'" + part + "' is not in: " + text);
  }

  private DivergedException failure(Trainer trainer, TrainingRun run) {
    Map<String, float[]> before = weights(run);
    DivergedException e =
        assertThrows(DivergedException.class, () -> trainer.train(run, StepListener.NONE));
    assertSame(before, weights(run));
    return e;
  }

  @Test
  void theFirstModuleWithAnOutputThatIsNotFiniteIsNamed() {
    TrainingRun run = run(1);
    FlatParameters lora = run.modules().groups().get("lora");
    for (String name : lora.names()) {
      if (name.startsWith("encoder.layer.1.attention.self.value")) {
        float[] large = new float[(int) lora.get(name).numel()];
        Arrays.fill(large, 1e30f);
        lora.put(name, large);
      }
    }
    String said = failure(trainer(SmallBert.create(), NonFinite.STOP), run).getMessage();
    assertContains("the loss is NaN at step 1 of 3 (examples ", said);
    assertContains(
        "the first that is not finite is the output of encoder.layer.1.attention.self.value;",
        said);
  }

  @Test
  void theFirstGradientThatIsNotFiniteIsNamed() {
    TrainingRun run = run(1);
    Candidate module =
        run.modules().candidates().stream()
            .filter(candidate -> candidate.layer() == 2)
            .findFirst()
            .orElseThrow();
    String name = run.modules().parameterNames(module).get(0);
    run.modules()
        .groups()
        .get(module.type())
        .gradient(name)
        .fill_(new Scalar(Double.POSITIVE_INFINITY));
    String said = failure(trainer(SmallBert.create(), NonFinite.STOP), run).getMessage();
    assertContains("the gradient's norm is Infinity at step 1 of 3", said);
    assertContains("the first that is not finite is the gradient of " + name, said);
  }

  @Test
  void anExampleThatOverflowsEndsTheTrainingOrIsLeftOut() {
    Encoder encoder = SmallBert.overflowing(RARE);
    String said =
        assertThrows(
                DivergedException.class,
                () -> trainer(encoder, NonFinite.STOP).train(run(1), StepListener.NONE))
            .getMessage();
    assertContains("the output of embeddings", said);
    assertContains("" + ODD, said.substring(said.indexOf("(examples "), said.indexOf("):")));

    List<String> skipped = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    List<Double> means = new ArrayList<>();
    TrainingRun run = run(2);
    keep(new Trainer(encoder, skipping()))
        .train(
            run,
            new StepListener() {
              @Override
              public void step(int step, int steps, double loss, double rate) {
                losses.add(loss);
              }

              @Override
              public void skipped(int step, int steps, String reason) {
                skipped.add(reason);
              }

              @Override
              public void epoch(int epoch, int epochs, double loss, Evaluation validation) {
                means.add(loss);
              }
            });
    assertEquals(2, skipped.size(), skipped.toString());
    assertEquals(4, losses.size());
    for (int epoch = 0; epoch < 2; epoch++) {
      assertEquals((losses.get(2 * epoch) + losses.get(2 * epoch + 1)) / 2, means.get(epoch), 1e-9);
    }
    weights(run)
        .forEach(
            (name, values) -> {
              for (float value : values) {
                assertTrue(Float.isFinite(value), name);
              }
            });
  }

  private Trainer looking(NonFinite nonFinite) {
    return keep(
        new Trainer(
            keep(SmallBert.saturating()),
            TrainingSettings.builder()
                .batchSize(BATCH)
                .nonFinite(nonFinite)
                .detectAnomaly(true)
                .build()));
  }

  @Test
  void anActivationThatIsMadeFiniteAgainIsSeenWhereActivationsAreLookedAt() {
    trainer(SmallBert.saturating(), NonFinite.STOP).train(run(1), StepListener.NONE);
    String said = failure(looking(NonFinite.STOP), run(1)).getMessage();
    assertContains("the output of a module is NaN or infinite at step 1 of 3 (examples ", said);
    assertContains(
        "the first that is not finite is the output of encoder.layer.1.intermediate.dense;", said);
    assertContains(
        "every step of epoch 1 was left out",
        failure(looking(NonFinite.SKIP), run(1)).getMessage());
  }

  /** The pass that looks changes nothing, nor what a search's round gathers. */
  @Test
  void whereAllActivationsAreFiniteTheWeightsAndStatisticsAreTheSame() {
    TrainingRun run = run(2);
    long model = TestSeed.draw();
    long weights = TestSeed.draw();
    List<Map<String, float[]>> ends = new ArrayList<>();
    List<Observation> observed = new ArrayList<>();
    for (boolean look : new boolean[] {false, true}) {
      fill(parameters(run).values(), new Random(weights));
      TrainingSettings settings =
          TrainingSettings.builder().batchSize(BATCH).detectAnomaly(look).build();
      Trainer trainer =
          keep(new Trainer(keep(SmallBert.create(model, Precision.FLOAT32)), settings));
      RoundStatistics statistics =
          keep(
              new RoundStatistics(
                  run.modules(), CriterionSettings.DEFAULT, trainer.steps(run), run.epochs()));
      trainer.train(run, StepListener.NONE, statistics);
      ends.add(weights(run));
      observed.add(statistics.observe());
    }
    assertSame(ends.get(0), ends.get(1));
    assertEquals(observed.get(0), observed.get(1));
  }

  @Test
  void inARoundOfASearchSuchAnActivationIsSeenToo() {
    TrainingRun run = run(1);
    RoundStatistics statistics =
        keep(
            new RoundStatistics(
                run.modules(), CriterionSettings.DEFAULT, EXAMPLES / BATCH, run.epochs()));
    Trainer trainer = looking(NonFinite.SKIP);
    String said =
        assertThrows(
                DivergedException.class, () -> trainer.train(run, StepListener.NONE, statistics))
            .getMessage();
    assertContains("the output of a module is NaN or infinite at step 1 of 3 (examples ", said);
  }

  /** Notes how many rows go through it at once. */
  private static final class Rows extends ForwardingEncoder {
    private int most;

    Rows(Encoder encoder) {
      super(encoder);
    }

    @Override
    public Tensor embed(EncoderInput input) {
      most = Math.max(most, input.rows());
      return super.embed(input);
    }
  }

  private Trainer accumulating(Encoder encoder, boolean look) {
    return keep(
        new Trainer(
            keep(encoder),
            TrainingSettings.builder()
                .batchSize(BATCH)
                .gradientAccumulationSteps(EXAMPLES / BATCH)
                .detectAnomaly(look)
                .build()));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aStepIsLookedAtByItsMicroBatchesOfWhichTheFirstThatIsNotFiniteIsNamed(boolean look) {
    Rows encoder = new Rows(SmallBert.overflowing(RARE));
    String said = failure(accumulating(encoder, look), run(1)).getMessage();
    assertContains(" at step 1 of 1 (examples ", said);
    Matcher named =
        Pattern.compile(
                "the output of embeddings in micro-batch [123] of 3 \\(examples ([0-9, ]+)\\);")
            .matcher(said);
    assertTrue(named.find(), said);
    List<String> examples = List.of(named.group(1).split(", "));
    assertEquals(BATCH, examples.size(), said);
    assertTrue(examples.contains("" + ODD), said);
    assertEquals(BATCH, encoder.most);
  }

  @Test
  void aLanguageModelsStepIsLookedAtByItsMicroBatches() {
    List<Encoding> texts = new ArrayList<>();
    for (int i = 0; i < EXAMPLES; i++) {
      int[] ids = random.ints(3 + i % 5, 0, RARE).toArray();
      boolean[] trained = new boolean[ids.length];
      Arrays.fill(trained, 1, ids.length, true);
      texts.add(Encoding.labelled(ids, trained));
    }
    PeftConfig config = loraAndAdapters(3, 0);
    TrainingRun run =
        new TrainingRun(
            modules(config, candidates(config)),
            keep(
                new LanguageModelHead(
                    RandomTensors.normal(SmallBert.CONFIG.vocabulary(), SmallBert.CONFIG.hidden()),
                    0)),
            EncodedDataset.labelled(texts),
            1,
            TestSeed.draw(),
            null);
    Rows encoder = new Rows(SmallBert.create());
    accumulating(encoder, true).train(run, StepListener.NONE);
    assertEquals(BATCH, encoder.most);
    String said =
        assertThrows(
                DivergedException.class,
                () -> accumulating(SmallBert.saturating(), true).train(run, StepListener.NONE))
            .getMessage();
    assertContains("encoder.layer.1.intermediate.dense in micro-batch 1 of 3 (examples ", said);
  }

  private static TrainingSettings skipping() {
    return TrainingSettings.builder().batchSize(BATCH).nonFinite(NonFinite.SKIP).build();
  }

  /** The second gate's gradient is NaN in the first step, all others are finite. */
  private TrainingRun gated() {
    TrainingRun run = run(1);
    List<Candidate> modules = run.modules().candidates();
    SearchSpace space = new SearchSpace(SmallBert.CONFIG.layers(), modules);
    run.modules().gate(new GateTraining(space, space.totalParameters() / 2, 0.1, TestSeed.draw()));
    List<Tensor> gradients = run.modules().gradients();
    gradients.get(gradients.size() - 1).narrow(0, 1, 1).fill_(new Scalar(Double.NaN));
    return run;
  }

  @Test
  void aGateWhoseGradientIsNotFiniteEndsTheTrainingOrTheStepIsLeftOut() {
    TrainingRun run = gated();
    String second = run.modules().candidates().get(1).name();
    String said = failure(trainer(SmallBert.create(), NonFinite.STOP), run).getMessage();
    assertContains(
        "the gradient of the gate on %s is NaN at step 1 of 3 (examples ".formatted(second), said);
    List<String> skipped = new ArrayList<>();
    trainer(SmallBert.create(), NonFinite.SKIP)
        .train(
            gated(),
            new StepListener() {
              @Override
              public void skipped(int step, int steps, String reason) {
                skipped.add(step + " " + reason);
              }
            });
    assertEquals(1, skipped.size(), skipped.toString());
    assertTrue(skipped.get(0).startsWith("1 the gradient of the gate on " + second));
  }

  /** As on a GPU, where the losses of many steps are read at once. */
  private Trainer reading(Encoder encoder) {
    TrainingSettings settings = TrainingSettings.builder().batchSize(BATCH).build();
    return keep(
        new Trainer(
            keep(encoder),
            settings,
            null,
            Checkpoints.NONE,
            new GradientPasses.Mode(null, 1, 32, 0)));
  }

  @Test
  void lossesThatWereNotReadComeBeforeAGatesGradient() {
    TrainingRun run = run(1);
    List<Candidate> modules = run.modules().candidates();
    SearchSpace space = new SearchSpace(SmallBert.CONFIG.layers(), modules);
    run.modules().gate(new GateTraining(space, space.totalParameters() / 2, 0.1, TestSeed.draw()));
    List<Tensor> gradients = run.modules().gradients();
    List<Double> losses = new ArrayList<>();
    StepListener listener =
        new StepListener() {
          private int asked;

          @Override
          public boolean cancelled() {
            if (++asked == 3) {
              gradients.get(gradients.size() - 1).narrow(0, 1, 1).fill_(new Scalar(Double.NaN));
            }
            return false;
          }

          @Override
          public void step(int step, int steps, double loss, double rate) {
            losses.add(loss);
          }
        };
    Trainer trainer = reading(SmallBert.create());
    String said =
        assertThrows(DivergedException.class, () -> trainer.train(run, listener)).getMessage();
    assertContains(
        "the gradient of the gate on %s is NaN at step 3 of 3".formatted(modules.get(1).name()),
        said);
    assertEquals(3, losses.size());
    losses.forEach(loss -> assertTrue(Double.isFinite(loss)));
  }

  @Test
  void theLossOfTheStepComesBeforeAGatesGradientAndNamesTheFirstModule() {
    TrainingRun run = run(1);
    SearchSpace space = new SearchSpace(SmallBert.CONFIG.layers(), run.modules().candidates());
    run.modules().gate(new GateTraining(space, space.totalParameters() / 2, 0.1, TestSeed.draw()));
    Trainer trainer = reading(SmallBert.overflowing(RARE));
    String said =
        assertThrows(DivergedException.class, () -> trainer.train(run, StepListener.NONE))
            .getMessage();
    assertContains("the loss is ", said);
    assertContains("the output of embeddings", said);
    assertContains("" + ODD, said.substring(said.indexOf("(examples "), said.indexOf("):")));
  }

  @Test
  void theModuleIsNamedThatLetsASubsetOverflow() {
    TrainingRun run = run(1);
    List<Candidate> modules = run.modules().candidates();
    Candidate broken =
        modules.stream().filter(module -> module.layer() == 1).findFirst().orElseThrow();
    FlatParameters group = run.modules().groups().get(broken.type());
    for (String name : run.modules().parameterNames(broken)) {
      float[] large = new float[(int) group.get(name).numel()];
      // Rows of both signs, so that whatever comes in, half of what is activated is positive.
      int row = large.length / (int) group.get(name).size(0);
      for (int i = 0; i < large.length; i++) {
        large[i] = i / row % 2 == 0 ? 1e30f : -1e30f;
      }
      group.put(name, large);
    }
    Trainer trainer = trainer(SmallBert.create(), NonFinite.STOP);
    List<Candidate> without = modules.stream().filter(module -> module != broken).toList();
    String said =
        assertThrows(
                DivergedException.class,
                () ->
                    trainer
                        .predictor()
                        .predict(
                            run.modules(),
                            run.head(),
                            run.data(),
                            List.of(without, List.of(broken)),
                            done -> {}))
            .getMessage();
    assertContains(" with the modules [%s]: ".formatted(broken.name()), said);
    assertContains(
        "the first that is not finite is the output of the adapter behind encoder.layer.1.output.dense;",
        said);
    // All are switched on again.
    assertThrows(
        DivergedException.class,
        () -> trainer.predictor().predict(run.modules(), run.head(), run.data()));
  }

  @Test
  void aTrainingOfWhichNothingIsLeftEnds() {
    TrainingRun run = run(1);
    float[] large = new float[(int) run.head().parameters().get("classifier.weight").numel()];
    Arrays.fill(large, 1e38f);
    for (int i = 0; i < large.length; i += 2) {
      large[i] = -1e38f;
    }
    run.head().parameters().put("classifier.weight", large);
    String said = failure(trainer(SmallBert.create(), NonFinite.SKIP), run).getMessage();
    assertContains("every step of epoch 1 was left out", said);
  }

  @Test
  void aPredictionThatIsNotFiniteNamesItsExample() {
    TrainingRun run = run(1);
    Trainer trainer = trainer(SmallBert.overflowing(RARE), NonFinite.STOP);
    String said =
        assertThrows(
                DivergedException.class,
                () -> trainer.predictor().predict(run.modules(), run.head(), run.data()))
            .getMessage();
    assertContains("the prediction for example " + ODD + " is ", said);
    assertFalse(said.contains("is finite"), said);
  }
}
