package org.prunepeft.train.internal;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.internal.PeftModules;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.internal.Torch;

/**
 * Chooses AdaLoRA's singular values (Zhang et al. 2023, algorithm 1). A weight's sensitivity |w·g|
 * and how much it varies are smoothed over the steps; their product is its importance. A singular
 * value's is its own plus the means of its row of Q and its column of P. After each choice the
 * values beyond the budget are 0; until the last choice they may come back by their gradients.
 */
public final class RankAllocator implements AutoCloseable {
  private final FlatParameters parameters;
  private final List<PeftModules.Triplet> triplets;
  private final AdaLoraConfig config;
  private final PointerScope scope;
  private final Tensor sensitivity;
  private final Tensor uncertainty;
  private List<float[]> masks;

  /**
   * @param parameters those of the triplets; stay the caller's
   * @param config with the training's total steps
   */
  RankAllocator(
      FlatParameters parameters, List<PeftModules.Triplet> triplets, AdaLoraConfig config) {
    this.parameters = parameters;
    this.triplets = triplets;
    this.config = config;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      ComputeDevice device = ComputeDevice.of(parameters.values());
      sensitivity = device.zeros(parameters.values().numel());
      uncertainty = device.zeros(parameters.values().numel());
    }
  }

  /** Null if the modules are no AdaLoRA. */
  static RankAllocator of(PeftModules modules, int steps) {
    return modules.triplets().isEmpty()
        ? null
        : new RankAllocator(
            modules.groups().get("lora"),
            modules.triplets(),
            modules.adaLora().withTotalStep(steps));
  }

  /** Whether the choice is the last after a step, 1-based. */
  boolean settled(int step) {
    return step >= config.lastChoice();
  }

  /** Takes a step's weights and gradients into account, before the optimiser changes them. */
  void observe(int step) {
    if (step > config.lastChoice()) {
      return;
    }
    try (PointerScope temporary = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Tensor now = parameters.values().mul(parameters.gradients()).abs();
      sensitivity.mul_(new Scalar(config.beta1())).add_(now, new Scalar(1 - config.beta1()));
      uncertainty
          .mul_(new Scalar(config.beta2()))
          .add_(now.sub(sensitivity).abs(), new Scalar(1 - config.beta2()));
    }
  }

  /** Sets the singular values beyond the budget to 0, after the optimiser's step. */
  void allocate(int step) {
    try (PointerScope temporary = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      if (config.chooses(step)) {
        masks = masks(scores(), config.budget(step, triplets.size()));
        apply();
      } else if (settled(step)) {
        apply();
      }
    }
  }

  private void apply() {
    for (int i = 0; i < masks.size(); i++) {
      Tensor values = parameters.get(triplets.get(i).lambda()).detach();
      float[] mask = masks.get(i);
      values.mul_(ComputeDevice.of(values).floats(mask, mask.length, 1));
    }
  }

  /** Importance of each singular value, by triplet. */
  private List<float[]> scores() {
    Tensor importance = sensitivity.mul(uncertainty);
    List<float[]> scores = new ArrayList<>();
    for (PeftModules.Triplet triplet : triplets) {
      Tensor q = parameters.view(importance, triplet.q()).mean(1L);
      Tensor p = parameters.view(importance, triplet.p()).mean(0L);
      scores.add(
          Torch.toFloats(parameters.view(importance, triplet.lambda()).view(-1).add(q).add(p)));
    }
    return scores;
  }

  /** 1 for the `budget` values of the highest scores, of equal ones the first; 0 for the others. */
  private static List<float[]> masks(List<float[]> scores, int budget) {
    record Value(int triplet, int place, float score) {}

    List<float[]> masks = new ArrayList<>();
    scores.forEach(own -> masks.add(new float[own.length]));
    IntStream.range(0, scores.size())
        .boxed()
        .flatMap(
            i ->
                IntStream.range(0, scores.get(i).length)
                    .mapToObj(k -> new Value(i, k, scores.get(i)[k])))
        .sorted(Comparator.comparingDouble(value -> -value.score()))
        .limit(budget)
        .forEach(value -> masks.get(value.triplet)[value.place] = 1);
    return masks;
  }

  @Override
  public void close() {
    scope.close();
  }
}
