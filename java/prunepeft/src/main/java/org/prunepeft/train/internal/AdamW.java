package org.prunepeft.train.internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.internal.FusedAdamW;

/**
 * Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2), one fused pass over
 * a group's weights.
 */
final class AdamW implements DeviceRule {
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  private final FlatParameters parameters;
  private final double weightDecay;
  private final PointerScope scope;
  private final Tensor mean;
  private final Tensor square;
  private final Tensor steps;

  AdamW(FlatParameters parameters, double weightDecay) {
    this.parameters = parameters;
    this.weightDecay = weightDecay;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      long length = parameters.values().numel();
      ComputeDevice device = ComputeDevice.of(parameters.values());
      mean = device.zeros(length);
      square = device.zeros(length);
      steps = device.zeros(1);
    }
  }

  @Override
  public void update(double learningRate) {
    steps.add_(new Scalar(1.0));
    FusedAdamW.step(
        parameters.values(),
        parameters.gradients(),
        mean,
        square,
        steps,
        learningRate,
        BETA1,
        BETA2,
        weightDecay,
        EPSILON);
  }

  @Override
  public void update(Tensor learningRate) {
    steps.add_(new Scalar(1.0));
    FusedAdamW.step(
        parameters.values(),
        parameters.gradients(),
        mean,
        square,
        steps,
        learningRate,
        BETA1,
        BETA2,
        weightDecay,
        EPSILON);
  }

  @Override
  public void close() {
    scope.close();
  }
}
