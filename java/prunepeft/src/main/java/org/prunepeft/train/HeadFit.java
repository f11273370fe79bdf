package org.prunepeft.train;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.Torch;

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
   * @param labels [n], in [0, classes)
   * @param seed of the order of examples
   * @return the caller's
   */
  public static Head fit(
      float[] pooled, int[] labels, int classes, int hidden, TrainingSettings settings, long seed) {
    Head head = new Head(classes, hidden);
    try (PointerScope all = new PointerScope();
        Optimizer optimizer = new Optimizer(settings, List.of(Trainer.headGroup(settings, head)))) {
      Tensor features = Torch.floats(pooled, labels.length, hidden);
      Tensor targets = Torch.longs(Arrays.stream(labels).asLongStream().toArray(), labels.length);
      SplittableRandom random = new SplittableRandom(seed);
      int size = Math.min(BATCH, labels.length);
      for (int step = 0; step < STEPS; step++) {
        try (PointerScope scope = new PointerScope()) {
          Tensor chosen = Torch.longs(random.longs(size, 0, labels.length).toArray(), size);
          Tensor logits = head.logits(features.index_select(0, chosen));
          Trainer.loss(logits, targets.index_select(0, chosen), settings.labelSmoothing())
              .backward();
          optimizer.step(Schedule.COSINE.factor(step, STEPS, 0));
        }
      }
    }
    return head;
  }

  /** Quality of a head on pooled outputs. */
  public static Evaluation evaluate(Head head, float[] pooled, int[] labels, int hidden) {
    try (PointerScope scope = new PointerScope()) {
      Tensor logits = head.logits(Torch.floats(pooled, labels.length, hidden)).detach();
      Tensor targets = Torch.longs(Arrays.stream(labels).asLongStream().toArray(), labels.length);
      long[] predicted =
          Torch.toLongs(logits.argmax(new org.bytedeco.pytorch.LongOptional(1), false));
      return Trainer.evaluation(
          labels.length,
          torch.cross_entropy_loss(logits, targets).item_double(),
          labels,
          Arrays.stream(predicted).mapToInt(p -> (int) p).toArray());
    }
  }
}
