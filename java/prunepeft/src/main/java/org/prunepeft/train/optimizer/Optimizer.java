package org.prunepeft.train.optimizer;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.TrainingSettings;

/**
 * Updates all groups of weights by the rule that the settings name, each at its learning rate. On a
 * GPU AdamW's update stays there, {@link DeviceUpdate}; Adafactor's asks the device for norms.
 */
public final class Optimizer implements AutoCloseable {
  /** Keeps a gradient of zeros from being divided by; PyTorch's clip_grad_norm_ has the same. */
  static final double EPSILON = 1e-6;

  private final double maxGradNorm;
  private final List<RuledGroup<UpdateRule>> groups = new ArrayList<>();

  /** Null: the update is made here. */
  private final DeviceUpdate onDevice;

  /**
   * @param groups one or more, all on one device; stay the caller's
   */
  public Optimizer(TrainingSettings settings, List<ParameterGroup> groups) {
    maxGradNorm = settings.maxGradNorm();
    for (ParameterGroup group : groups) {
      this.groups.add(new RuledGroup<>(group, rule(settings, group.parameters())));
    }
    ComputeDevice device = ComputeDevice.of(groups.get(0).parameters().values());
    onDevice =
        device.isCuda() && this.groups.stream().allMatch(g -> g.rule() instanceof DeviceRule)
            ? deviceUpdate(RecordedWork.recorder(device).orElse(null))
            : null;
  }

  /**
   * With the update as it is on a GPU, wherever the weights lie.
   *
   * @param recorder null: none
   */
  public Optimizer(
      TrainingSettings settings, List<ParameterGroup> groups, RecordedWork.Recorder recorder) {
    maxGradNorm = settings.maxGradNorm();
    for (ParameterGroup group : groups) {
      this.groups.add(new RuledGroup<>(group, rule(settings, group.parameters())));
    }
    onDevice = deviceUpdate(recorder);
  }

  private DeviceUpdate deviceUpdate(RecordedWork.Recorder recorder) {
    List<RuledGroup<DeviceRule>> ruled = new ArrayList<>();
    groups.forEach(g -> ruled.add(new RuledGroup<>(g.group(), (DeviceRule) g.rule())));
    return new DeviceUpdate(ruled, maxGradNorm, recorder);
  }

  private static UpdateRule rule(TrainingSettings settings, FlatParameters parameters) {
    return switch (settings.optimizer()) {
      case ADAMW -> new AdamW(parameters, settings.weightDecay());
      case ADAFACTOR -> new Adafactor(parameters, settings.weightDecay());
    };
  }

  /**
   * Updates all weights from their gradients, which are then 0.
   *
   * @param factor the learning rates' share of their peaks
   */
  public void step(double factor) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      if (onDevice != null) {
        onDevice.step(factor);
        return;
      }
      if (maxGradNorm > 0) {
        clip();
      }
      for (RuledGroup<UpdateRule> ruled : groups) {
        ruled.rule().update(factor * ruled.group().learningRate());
        ruled.group().parameters().clearGradients();
      }
    }
  }

  /** Scales all gradients so that their norm, over all groups together, is at most the setting. */
  private void clip() {
    double scale = maxGradNorm / (gradientNorm() + EPSILON);
    if (scale < 1) {
      groups.forEach(ruled -> ruled.group().parameters().gradients().mul_(new Scalar(scale)));
    }
  }

  /** The Euclidean norm of all gradients, over all groups together; waits for the device. */
  public double gradientNorm() {
    double squares = 0;
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      for (RuledGroup<UpdateRule> ruled : groups) {
        double norm = ruled.group().parameters().gradients().norm().item_double();
        squares += norm * norm;
      }
    }
    return Math.sqrt(squares);
  }

  /** Makes nothing of the gradients: they are 0 afterwards. */
  public void skip() {
    groups.forEach(ruled -> ruled.group().parameters().clearGradients());
  }

  /**
   * Gives weights and what the rules remember to a checkpoint, or takes them from one; between
   * steps, when all gradients are 0.
   */
  public void exchange(StateExchange state) {
    for (RuledGroup<UpdateRule> ruled : groups) {
      StateExchange own = state.part(ruled.group().name());
      own.tensor("values", ruled.group().parameters().values());
      ruled.rule().exchange(own);
    }
  }

  @Override
  public void close() {
    if (onDevice != null) {
      onDevice.close();
    }
    groups.forEach(ruled -> ruled.rule().close());
  }
}
