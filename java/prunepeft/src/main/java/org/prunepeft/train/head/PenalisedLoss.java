package org.prunepeft.train.head;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * Mean loss of a linear layer on fixed features, with an L2 penalty on its weight but not on its
 * bias: convex in both. Computed in the features' type, summed in float64.
 *
 * @param features [n, d] float32 or float64
 * @param targets [n, outputs] of the same type: probabilities of the classes, or a number
 * @param classes cross-entropy of the softmax; else half the squared error
 * @param weighted whether an example's targets add up to its weight, not to 1
 * @param strength λ of the penalty λ/2·‖W‖²
 */
record PenalisedLoss(
    Tensor features, Tensor targets, boolean classes, boolean weighted, double strength)
    implements Lbfgs.Objective {
  PenalisedLoss with(double strength) {
    return new PenalisedLoss(features, targets, classes, weighted, strength);
  }

  /** The principal axes of the features, [d, d]. */
  Tensor axes() {
    return torch.linalg_eigh(features.t().mm(features), "L").get1();
  }

  /**
   * The same with features along other axes, which leaves the penalty as it is.
   *
   * @param axes [d, d], orthogonal
   */
  PenalisedLoss along(Tensor axes) {
    return new PenalisedLoss(features.mm(axes), targets, classes, weighted, strength);
  }

  /** Weights along the axes as those of the features before. */
  double[] back(double[] weights, Tensor axes) {
    long outputs = targets.size(1);
    int size = Math.toIntExact(outputs * axes.size(0));
    double[] back = weights.clone();
    try (PointerScope scope = new PointerScope()) {
      Tensor along = Tensor.create(weights, weights.length).narrow(0, 0, size);
      Tensor to = axes.to(torch.ScalarType.Double).t();
      copy(along.view(outputs, axes.size(0)).mm(to), back, 0);
    }
    return back;
  }

  /** Roots of about what the curvature is along each weight and bias: the features' axes given. */
  double[] scales() {
    int outputs = Math.toIntExact(targets.size(1));
    double[] squares = new double[Math.toIntExact(features.size(1))];
    try (PointerScope scope = new PointerScope()) {
      copy(features.square().mean(0L), squares, 0);
    }
    // p(1 − p) of a class among equals.
    double curvature = classes ? (outputs - 1.0) / outputs / outputs : 1;
    double[] scales = new double[size()];
    for (int i = 0; i < scales.length; i++) {
      double square = i < outputs * squares.length ? squares[i % squares.length] : 1;
      double penalty = i < outputs * squares.length ? strength : 0;
      double sum = curvature * square + penalty;
      scales[i] = sum > 0 ? Math.sqrt(sum) : 1;
    }
    return scales;
  }

  /** How many numbers weight and bias are: W [outputs, d], then b [outputs]. */
  int size() {
    return Math.toIntExact(targets.size(1) * (features.size(1) + 1));
  }

  @Override
  public double at(double[] weights, double[] gradient) {
    return value(weights, gradient, strength);
  }

  /** The loss alone. */
  double unpenalised(double[] weights) {
    return value(weights, null, 0);
  }

  private double value(double[] weights, double[] gradient, double penalty) {
    int size = Math.toIntExact(targets.size(1) * features.size(1));
    double squares = 0;
    for (int i = 0; i < size; i++) {
      squares += weights[i] * weights[i];
    }
    double loss = loss(weights, gradient) + penalty / 2 * squares;
    for (int i = 0; gradient != null && i < size; i++) {
      gradient[i] += penalty * weights[i];
    }
    return loss;
  }

  private double loss(double[] weights, double[] gradient) {
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      long n = features.size(0);
      long outputs = targets.size(1);
      long size = outputs * features.size(1);
      Tensor all = Tensor.create(weights, weights.length).to(features.scalar_type().intern());
      Tensor weight = all.narrow(0, 0, size).view(outputs, features.size(1));
      Tensor bias = all.narrow(0, size, outputs);
      Tensor scores = torch.linear(features, weight, new TensorOptional(bias));
      double loss;
      Tensor error;
      if (classes) {
        Tensor logs = scores.log_softmax(1);
        loss = -sum(logs.mul(targets)) / n;
        error = gradient == null ? null : weighed(logs.exp_()).sub_(targets);
      } else {
        error = scores.sub_(targets);
        loss = sum(error.square()) / (2 * n);
      }
      if (gradient != null) {
        error.div_(new Scalar((double) n));
        copy(error.t().mm(features), gradient, 0);
        copy(error.sum(0L), gradient, Math.toIntExact(size));
      }
      return loss;
    }
  }

  private Tensor weighed(Tensor probabilities) {
    return weighted ? probabilities.mul_(targets.sum(new long[] {1}, true, null)) : probabilities;
  }

  private static double sum(Tensor values) {
    return values.sum(new ScalarTypeOptional(torch.ScalarType.Double)).item_double();
  }

  private static void copy(Tensor from, double[] to, int offset) {
    try (DoublePointer data = from.to(torch.ScalarType.Double).contiguous().data_ptr_double()) {
      data.get(to, offset, Math.toIntExact(from.numel()));
    }
  }
}
