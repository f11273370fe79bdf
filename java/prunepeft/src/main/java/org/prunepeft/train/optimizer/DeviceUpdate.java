package org.prunepeft.train.optimizer;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.RecordedWork;

/**
 * The update of all groups as a GPU makes it: clipping, the rules and the clearing of gradients are
 * some dozens of small kernels that are the same in each step, recorded as one. What differs, the
 * learning rates' share of their peaks, lies on the device. Nothing waits for a number: the norm
 * that gradients are clipped by stays there too.
 */
final class DeviceUpdate implements AutoCloseable {
  private final List<RuledGroup<DeviceRule>> groups;
  private final double maxGradNorm;
  private final PointerScope scope;

  /** [] float32. */
  private final Tensor factor;

  private final RecordedWork update;

  /**
   * @param groups one or more, all on one device
   * @param maxGradNorm 0: gradients are not clipped
   * @param recorder null: nothing is recorded
   */
  DeviceUpdate(
      List<RuledGroup<DeviceRule>> groups, double maxGradNorm, RecordedWork.Recorder recorder) {
    this.groups = List.copyOf(groups);
    this.maxGradNorm = maxGradNorm;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      ComputeDevice device = ComputeDevice.of(groups.get(0).group().parameters().values());
      factor = torch.zeros(new long[0], device.options(torch.ScalarType.Float));
    }
    List<Tensor> changed = new ArrayList<>();
    for (RuledGroup<DeviceRule> ruled : groups) {
      changed.add(ruled.group().parameters().values());
      changed.add(ruled.group().parameters().gradients());
      changed.addAll(ruled.rule().state());
    }
    update = new RecordedWork(recorder, this::update, changed);
  }

  /**
   * One step, within a scope of the caller's and without recording for autograd.
   *
   * @param share the learning rates' share of their peaks
   */
  void step(double share) {
    factor.fill_(new Scalar(share));
    update.run();
  }

  /** What is recorded: it reads no number that may change. */
  private void update() {
    // A recording may leave no tensor behind.
    try (PointerScope temporary = new PointerScope()) {
      if (maxGradNorm > 0) {
        clip();
      }
      for (RuledGroup<DeviceRule> ruled : groups) {
        ruled.rule().update(factor.mul(new Scalar(ruled.group().learningRate())));
        ruled.group().parameters().clearGradients();
      }
    }
  }

  private void clip() {
    Tensor squares = null;
    for (RuledGroup<DeviceRule> ruled : groups) {
      Tensor square = ruled.group().parameters().gradients().norm().square();
      squares = squares == null ? square : squares.add_(square, new Scalar(1));
    }
    Tensor scale =
        squares
            .sqrt_()
            .add_(new Scalar(Optimizer.EPSILON))
            .reciprocal_()
            .mul_(new Scalar(maxGradNorm))
            .clamp_max_(new Scalar(1));
    groups.forEach(ruled -> ruled.group().parameters().gradients().mul_(scale));
  }

  @Override
  public void close() {
    update.close();
    scope.close();
  }
}
