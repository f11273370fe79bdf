package org.prunepeft.torch;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** By LibTorch's operations, with logits in float32: on a GPU. */
final class LibTorchRowLosses implements RowLosses {
  private final Tensor weight;
  private final double cap;

  /**
   * @param weight W [vocabulary, hidden]; stays the caller's
   * @param cap of logits; 0: none
   */
  LibTorchRowLosses(Tensor weight, double cap) {
    this.weight = weight.detach();
    this.cap = cap;
  }

  /** Logits [rows, vocabulary], float32. */
  static Tensor logits(Tensor hidden, Tensor weight, double cap) {
    Tensor z = torch.linear(hidden, weight).to(torch.ScalarType.Float);
    return cap == 0 ? z : z.div(new Scalar(cap)).tanh().mul(new Scalar(cap));
  }

  @Override
  public Tensor of(Tensor hidden, Tensor labels, double smoothing, Gradients gradients) {
    Tensor z = logits(hidden, weight, cap);
    Tensor normaliser = z.logsumexp(1).unsqueeze(1);
    Tensor right = labels.unsqueeze(1);
    if (gradients.wanted()) {
      Tensor d = gradient(z, normaliser, right, smoothing);
      if (gradients.hidden() != null) {
        gradients.hidden().copy_(d.matmul(weight));
      }
      if (gradients.weight() != null) {
        gradients.weight().addmm_(d.t(), hidden);
      }
    }
    Tensor ofRight = z.gather(1, right).sub(normaliser);
    if (smoothing == 0) {
      return ofRight.neg();
    }
    Tensor mean = z.mean(1).unsqueeze(1).sub(normaliser);
    return ofRight.mul(new Scalar(1 - smoothing)).add(mean.mul(new Scalar(smoothing))).neg();
  }

  /** By h Wᵀ, [rows, vocabulary] of W's type. */
  private Tensor gradient(Tensor z, Tensor normaliser, Tensor right, double smoothing) {
    Tensor d = z.sub(normaliser).exp();
    if (smoothing > 0) {
      d.sub_(new Scalar(smoothing / z.size(1)));
    }
    d.scatter_add_(1, right, torch.full_like(z.narrow(1, 0, 1), new Scalar(smoothing - 1)));
    if (cap > 0) {
      Tensor tanh = z.div(new Scalar(cap));
      d.mul_(tanh.mul(tanh).neg().add(new Scalar(1.0)));
    }
    return d.to(weight.scalar_type());
  }

  @Override
  public void close() {
    // Nothing is held.
  }
}
