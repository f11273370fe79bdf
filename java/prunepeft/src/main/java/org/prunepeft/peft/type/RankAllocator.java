package org.prunepeft.peft.type;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.search.NotFiniteException;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;

/**
 * Chooses AdaLoRA's singular values (Zhang et al. 2023, algorithm 1). A weight's sensitivity |w·g|
 * and how much it varies are smoothed over the steps; their product is its importance. A singular
 * value's is its own plus the means of its row of Q and its column of P. After each choice the
 * values beyond the budget are 0; until the last choice they may come back by their gradients.
 *
 * <p>All of it is computed where the parameters lie. Of a device nothing is read back before the
 * last choice.
 */
final class RankAllocator implements AutoCloseable {
  private final FlatParameters parameters;
  private final List<AdaLora.Triplet> triplets;
  private final AdaLoraConfig config;
  private final PointerScope scope;
  private final Tensor sensitivity;
  private final Tensor uncertainty;

  /** Where the singular values lie in the flat parameters, triplet by triplet; int64 [n]. */
  private final Tensor places;

  /** 1 for those that are left, 0 for the others; [n]. */
  private final Tensor mask;

  /** Whether the last choice is known to have been made. */
  private boolean lastChosen;

  /**
   * @param parameters those of the triplets; stay the caller's
   * @param config with the training's total steps
   */
  RankAllocator(FlatParameters parameters, List<AdaLora.Triplet> triplets, AdaLoraConfig config) {
    this.parameters = parameters;
    this.triplets = triplets;
    this.config = config;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      ComputeDevice device = ComputeDevice.of(parameters.values());
      sensitivity = device.zeros(parameters.values().numel());
      uncertainty = device.zeros(parameters.values().numel());
      places = places(device);
      mask = device.zeros(places.numel());
    }
  }

  private Tensor places(ComputeDevice device) {
    try (PointerScope temporary = new PointerScope()) {
      TensorOptions integers = device.options(torch.ScalarType.Long);
      Tensor all = torch.arange(new Scalar(parameters.values().numel()), integers);
      TensorVector parts = new TensorVector();
      triplets.forEach(triplet -> parts.push_back(values(all, triplet)));
      Tensor found = torch.cat(parts, 0);
      scope.attach(found);
      return found;
    }
  }

  /** What a tensor of the parameters' layout has for a triplet's singular values. */
  private Tensor values(Tensor flat, AdaLora.Triplet triplet) {
    return parameters.view(flat, triplet.lambda()).view(-1);
  }

  /** Whether the last choice was made after a step, 1-based: its own may have been left out. */
  boolean settled(int step) {
    try (PointerScope temporary = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return step >= config.lastChoice() && lastChosen();
    }
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
      boolean last = step >= config.lastChoice();
      if (config.chooses(step) || last && !lastChosen()) {
        choose(config.budget(step, triplets.size()), last);
      }
      if (config.chooses(step) || last) {
        apply();
      }
    }
  }

  /** Whether the last choice was made: its step may have been left out. */
  private boolean lastChosen() {
    if (!lastChosen) {
      int left = config.budget(config.lastChoice(), triplets.size());
      lastChosen = mask.sum().item_double() == Math.min(left, mask.numel());
    }
    return lastChosen;
  }

  /**
   * Masks all but the values of the highest scores; of equal ones the first stay.
   *
   * @param last whether the choice is the last: only then a device is waited for
   */
  private void choose(int budget, boolean last) {
    Tensor scores = scores();
    if (last || !ComputeDevice.of(scores).isCuda()) {
      requireFinite(scores);
    }
    Tensor order = scores.neg().argsort(true, 0, false);
    mask.zero_();
    mask.index_fill_(0, order.narrow(0, 0, Math.min(budget, order.numel())), new Scalar(1));
  }

  /**
   * Of a weight and a gradient that are finite the product may not be. What it is smoothed into
   * stays so to the last choice.
   */
  private void requireFinite(Tensor scores) {
    Tensor wrong = scores.isfinite().logical_not();
    if (!wrong.any().item_bool()) {
      return;
    }
    long place = wrong.nonzero().select(0, 0).item_long();
    for (AdaLora.Triplet triplet : triplets) {
      long rank = parameters.get(triplet.lambda()).numel();
      if (place < rank) {
        throw new NotFiniteException(
            "AdaLoRA's importance of singular value %d of %s is not finite: a weight times its gradient is too large for float32; lower the learning rates"
                .formatted(place, triplet.lambda()));
      }
      place -= rank;
    }
  }

  private void apply() {
    Tensor all = parameters.values().detach();
    all.index_copy_(0, places, all.index_select(0, places).mul(mask));
  }

  /** Importance of each singular value, triplet by triplet; [n]. */
  private Tensor scores() {
    Tensor importance = sensitivity.mul(uncertainty);
    TensorVector scores = new TensorVector();
    for (AdaLora.Triplet triplet : triplets) {
      Tensor q = parameters.view(importance, triplet.q()).mean(1L);
      Tensor p = parameters.view(importance, triplet.p()).mean(0L);
      scores.push_back(values(importance, triplet).add(q).add(p));
    }
    return torch.cat(scores, 0);
  }

  void exchange(StateExchange state) {
    state.tensor("sensitivity", sensitivity);
    state.tensor("uncertainty", uncertainty);
    state.tensor("mask", mask);
  }

  @Override
  public void close() {
    scope.close();
  }
}
