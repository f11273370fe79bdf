package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.CrossEntropy;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.Matrix;

/**
 * By our kernels, on the CPU: logits of W's type, which become their own gradient. W is read where
 * it lies.
 */
final class KernelRowLosses implements RowLosses {
  private final Context context;
  private final Linear output;
  private final float cap;

  /** Room for the logits of as many rows as there are at once. */
  private final Tensor room;

  /**
   * @param context stays the caller's
   * @param weight W [vocabulary, hidden], dense; has to live as long as this
   * @param cap of logits; 0: none
   * @param rows the most of a call
   */
  KernelRowLosses(Context context, Tensor weight, double cap, long rows) {
    this.context = context;
    this.cap = (float) cap;
    room = ComputeDevice.CPU.emptyMatrix(rows, weight.size(0), weight.scalar_type().intern());
    output = Linear.borrowing(context, Torch.matrix(weight.detach()), null);
  }

  @Override
  public Tensor of(Tensor hidden, Tensor labels, double smoothing, Gradients gradients) {
    Tensor d = room.narrow(0, 0, hidden.size(0));
    Matrix z = Torch.matrix(d);
    output.forward(context, Torch.matrix(hidden), List.of(), z);
    Tensor losses = ComputeDevice.CPU.emptyMatrix(hidden.size(0), 1);
    new CrossEntropy(cap, (float) smoothing)
        .loss(context, Torch.longs(labels), z, Torch.matrix(losses), gradients.wanted() ? z : null);
    if (gradients.hidden() != null) {
      output.gradInput(context, z, List.of(), Torch.matrix(gradients.hidden()));
    }
    if (gradients.weight() != null) {
      gradients.weight().addmm_(d.t(), hidden);
    }
    return losses;
  }

  @Override
  public void close() {
    output.close();
    room.close();
  }
}
