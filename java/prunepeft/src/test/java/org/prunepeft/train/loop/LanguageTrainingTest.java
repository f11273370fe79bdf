package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Metric;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.pass.Inputs;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Trainings by the loss of next tokens. What is below the output layer does not matter to it, so a
 * small BERT stands there.
 */
class LanguageTrainingTest extends TrainingTest {
  private static final int VOCABULARY = SmallBert.CONFIG.vocabulary();

  private final long seed = TestSeed.draw();
  private final EncodedDataset data = texts(21);
  private Encoder encoder;
  private LanguageModelHead head;
  private Tensor weight;

  /** Of different lengths, of which different shares are learnt. */
  private static EncodedDataset texts(int count) {
    Random random = TestSeed.random();
    List<Encoding> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int length = 3 + random.nextInt(SmallBert.CONFIG.positions() - 2);
      boolean[] trained = new boolean[length];
      for (int t = random.nextInt(length - 1) + 1; t < length; t++) {
        trained[t] = true;
      }
      texts.add(Encoding.labelled(random.ints(length, 0, VOCABULARY).toArray(), trained));
    }
    return EncodedDataset.labelled(texts);
  }

  @BeforeEach
  void makeModel() {
    encoder = keep(SmallBert.create());
    weight = RandomTensors.normal(VOCABULARY, SmallBert.CONFIG.hidden());
    head = keep(new LanguageModelHead(weight, 0));
  }

  private PeftModules modules() {
    PeftConfig config = loraAndAdapters(3, 0);
    PeftModules modules = modules(config, candidates(config));
    fill(modules.groups().values(), new Random(seed));
    return modules;
  }

  private Trainer trainer(int batchSize, int accumulation) {
    return keep(
        new Trainer(
            encoder,
            TrainingSettings.builder()
                .batchSize(batchSize)
                .gradientAccumulationSteps(accumulation)
                .loraLearningRate(1e-2)
                .adapterLearningRate(1e-2)
                .build()));
  }

  private float[] gradient(PeftModules modules) {
    return Torch.toFloats(modules.groups().values().iterator().next().gradients());
  }

  @Test
  void accumulatedGradientsAreThoseOfTheLargeBatchWhateverItsLabels() {
    Batch batch = Batch.of(data, IntStream.range(0, data.size()).toArray());
    PeftModules large = modules();
    double loss =
        SingleStep.loss(
            trainer(data.size(), 1), new TrainingRun(large, head, data, 1, seed, null), batch);
    PeftModules small = modules();
    double accumulated =
        SingleStep.loss(trainer(4, 6), new TrainingRun(small, head, data, 1, seed, null), batch);
    assertLossNear(loss, accumulated, data.tokens());
    assertNear(
        Map.of("modules", gradient(large)), Map.of("modules", gradient(small)), data.tokens());
  }

  @Test
  void evaluationIsTheMeanOfAllTokensThatAreLearnt() {
    PeftConfig config = loraAndAdapters(3, 0);
    Evaluation evaluation =
        trainer(8, 1).predictor().evaluate(modules(config, List.of()), head, data);
    double sum = 0;
    long count = 0;
    for (int i = 0; i < data.size(); i++) {
      try (PointerScope scope = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        Batch batch = Batch.of(data, new int[] {i});
        Tensor hidden = encoder.forward(Inputs.of(encoder.device(), batch), Insertions.NONE);
        Tensor logProbabilities = torch.log_softmax(hidden.matmul(weight.t()), 1);
        for (int t = 0; t < batch.length(); t++) {
          if (batch.labels()[t] >= 0) {
            sum += logProbabilities.select(0, t).select(0, batch.labels()[t]).item_double();
            count++;
          }
        }
      }
    }
    assertEquals(data.weight(), count);
    assertLossNear(sum / count, evaluation.primary(), data.tokens());
    assertLossNear(-sum / count, evaluation.loss(), data.tokens());
    assertEquals(Metric.LOG_LIKELIHOOD, evaluation.primaryMetric());
  }

  @Test
  @FixedSeed("how far a training gets differs from draw to draw")
  void trainingLowersTheLossAndKeepsTheBestEpoch() {
    PeftModules modules = modules();
    Trainer trainer = trainer(4, 1);
    double before = trainer.predictor().evaluate(modules, head, data).loss();
    List<Double> losses = new ArrayList<>();
    Trainer.Result result =
        trainer.train(new TrainingRun(modules, head, data, 12, seed, data), eachLoss(losses::add));
    assertEquals(12 * 6, losses.size());
    double after = trainer.predictor().evaluate(modules, head, data).loss();
    assertTrue(after < 0.9 * before, () -> before + " before, " + after + " after");
    assertEquals(after, result.validation().loss(), 1e-9);
  }
}
