package org.prunepeft.train.head;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.Schema;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.Schedule;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.optimizer.Optimizer;

/**
 * Fits a head on pooled outputs of the frozen encoder, before any module is trained: modules that
 * are judged while the head is still learning are judged by how they stand in for it.
 */
public final class HeadFit {
  private static final int BATCH = 64;
  private static final int STEPS = 1500;

  private HeadFit() {}

  /**
   * @param pooled [n · hidden]
   * @param targets [n], 1 or more
   * @param device where the head is to lie: the encoder's
   * @param seed of the order of examples
   * @return the caller's
   */
  public static Head fit(
      float[] pooled,
      double[] targets,
      Schema schema,
      ComputeDevice device,
      TrainingSettings settings,
      long seed) {
    int hidden = pooled.length / targets.length;
    Head head = new Head(schema, hidden, device);
    head.standardise(targets);
    try (PointerScope all = new PointerScope();
        Optimizer optimizer = new Optimizer(settings, List.of(head.group(settings)))) {
      Tensor features = device.floats(pooled, targets.length, hidden);
      SplittableRandom random = new SplittableRandom(seed);
      int size = Math.min(BATCH, targets.length);
      for (int step = 0; step < STEPS; step++) {
        try (PointerScope scope = new PointerScope()) {
          long[] chosen = random.longs(size, 0, targets.length).toArray();
          Tensor logits = head.logits(features.index_select(0, device.longs(chosen, size)));
          double[] right = Arrays.stream(chosen).mapToDouble(i -> targets[(int) i]).toArray();
          head.loss(logits, head.targets(right), settings.labelSmoothing()).backward();
          optimizer.step(Schedule.COSINE.factor(step, STEPS, 0));
        }
      }
    }
    return head;
  }

  /** Quality of a head on pooled outputs [n · hidden] with targets [n]. */
  public static Evaluation evaluate(Head head, float[] pooled, double[] targets) {
    try (PointerScope scope = new PointerScope()) {
      Tensor logits =
          head.logits(head.device().floats(pooled, targets.length, pooled.length / targets.length));
      return Evaluation.of(new Predictions(head.schema(), Torch.toFloats(logits)), targets);
    }
  }
}
