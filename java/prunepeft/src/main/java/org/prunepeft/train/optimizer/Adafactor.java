package org.prunepeft.train.optimizer;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;

/**
 * Adafactor (Shazeer &amp; Stern 2018, algorithms 4 and 5) without momentum and with a given
 * learning rate in place of the relative one. With G the gradient of a matrix at step t, from 1 on:
 *
 * <pre>
 *   β = 1 − t^−0.8
 *   R = β·R + (1 − β)·(row means of G² + ε),  C = β·C + (1 − β)·(column means of G² + ε)
 *   U = G / √(R Cᵀ / mean(R))
 *   W = W − lr·weightDecay·W − lr·U / max(1, RMS(U))
 * </pre>
 *
 * <p>A vector keeps its second moments whole: V = β·V + (1 − β)·(G² + ε), U = G / √V. These are the
 * defaults of Hugging Face's Adafactor with scale_parameter and relative_step off.
 */
final class Adafactor implements UpdateRule {
  private static final double DECAY_EXPONENT = -0.8;
  private static final double EPSILON = 1e-30;
  private static final double CLIP_THRESHOLD = 1;

  private final double weightDecay;
  private final PointerScope scope;
  private final List<Moments> moments = new ArrayList<>();
  private int steps;

  Adafactor(FlatParameters parameters, double weightDecay) {
    this.weightDecay = weightDecay;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      for (String name : parameters.names()) {
        moments.add(Moments.of(parameters.get(name).detach(), parameters.gradient(name)));
      }
    }
  }

  /**
   * One tensor with its second moments.
   *
   * @param rows [r] for a matrix [r,c], whole for a vector
   * @param columns [c]; null for a vector
   */
  private record Moments(Tensor weight, Tensor gradient, Tensor rows, Tensor columns) {
    static Moments of(Tensor weight, Tensor gradient) {
      return new Moments(
          weight,
          gradient,
          ComputeDevice.of(weight).zeros(weight.size(0)),
          weight.dim() == 1 ? null : ComputeDevice.of(weight).zeros(weight.size(1)));
    }

    /** Updates the moments; gives U. */
    Tensor direction(double beta) {
      Tensor square = gradient.mul(gradient).add_(new Scalar(EPSILON));
      Scalar share = new Scalar(1 - beta);
      if (columns == null) {
        rows.lerp_(square, share);
        return gradient.div(rows.sqrt());
      }
      rows.lerp_(square.mean(1), share);
      columns.lerp_(square.mean(0), share);
      Tensor rowFactors = rows.div(rows.mean()).rsqrt_().unsqueeze(1);
      return gradient.mul(rowFactors).mul_(columns.rsqrt());
    }
  }

  @Override
  public void update(double learningRate) {
    steps++;
    double beta = 1 - Math.pow(steps, DECAY_EXPONENT);
    for (Moments tensor : moments) {
      try (PointerScope temporary = new PointerScope()) {
        Tensor direction = tensor.direction(beta);
        double rootMeanSquare =
            direction.norm().item_double() / Math.sqrt((double) direction.numel());
        double scale = learningRate / Math.max(1, rootMeanSquare / CLIP_THRESHOLD);
        if (weightDecay > 0) {
          tensor.weight.mul_(new Scalar(1 - learningRate * weightDecay));
        }
        tensor.weight.sub_(direction, new Scalar(scale));
      }
    }
  }

  @Override
  public void exchange(StateExchange state) {
    steps = state.number("steps", steps);
    for (int i = 0; i < moments.size(); i++) {
      state.tensor("rows." + i, moments.get(i).rows);
      if (moments.get(i).columns != null) {
        state.tensor("columns." + i, moments.get(i).columns);
      }
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
