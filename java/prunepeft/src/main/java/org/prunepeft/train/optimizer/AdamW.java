package org.prunepeft.train.optimizer;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;

/**
 * Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2), one fused pass over
 * a group's weights.
 */
final class AdamW implements DeviceRule {
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  private final PointerScope scope;
  private final FusedAdamW fused;

  AdamW(FlatParameters parameters, double weightDecay) {
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      long length = parameters.values().numel();
      ComputeDevice device = ComputeDevice.of(parameters.values());
      fused =
          new FusedAdamW(
              parameters.values(),
              parameters.gradients(),
              device.zeros(length),
              device.zeros(length),
              device.zeros(1),
              BETA1,
              BETA2,
              weightDecay,
              EPSILON);
    }
  }

  @Override
  public void update(double learningRate) {
    fused.steps().add_(new Scalar(1.0));
    fused.step(learningRate);
  }

  @Override
  public void update(Tensor learningRate) {
    fused.steps().add_(new Scalar(1.0));
    fused.step(learningRate);
  }

  @Override
  public List<Tensor> state() {
    return List.of(fused.mean(), fused.square(), fused.steps());
  }

  @Override
  public void exchange(StateExchange state) {
    state.tensor("mean", fused.mean());
    state.tensor("square", fused.square());
    state.tensor("steps", fused.steps());
  }

  @Override
  public void close() {
    scope.close();
  }
}
