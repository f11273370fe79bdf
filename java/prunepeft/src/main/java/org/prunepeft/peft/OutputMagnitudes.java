package org.prunepeft.peft;

import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.ImportancePlan;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.torch.ComputeDevice;

/**
 * Running means of the size of the modules' outputs, |f|, over elements of real tokens. The sums
 * stay on the device that made them until a mean is asked for.
 */
public final class OutputMagnitudes implements AutoCloseable {
  private final Map<String, Total> totals = new TreeMap<>();
  private final PointerScope scope;

  /** Σ |f|, float64 [1], and over how many elements. */
  private static final class Total {
    final Tensor sum;
    long elements;

    Total(Tensor sum) {
      this.sum = sum;
    }
  }

  /** Without a measurement yet. */
  public OutputMagnitudes() {
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
    }
  }

  /**
   * Adds the size of σ(p) Qᵀ + bias, a module's output for the pass's tokens.
   *
   * @param module the module's name
   * @param pass that computes it; says which rows are tokens
   * @param p [B·T,r]
   * @param activation σ
   * @param q [N,r]
   * @param bias [N]; null: none
   */
  public void measure(
      String module, ForwardPass pass, Matrix p, Activation activation, Matrix q, Matrix bias) {
    ComputeDevice device = ComputeDevice.of(pass.rowMask());
    try (PointerScope temporary = new PointerScope()) {
      Tensor sum = torch.zeros(new long[] {1}, device.options(torch.ScalarType.Double));
      ImportancePlan.outputMagnitude(
          device.kernels(),
          p,
          activation,
          q,
          bias,
          new BytePointer(pass.rowMask().data_ptr()),
          sum.data_ptr(),
          pass.tape().workspace());
      add(module, sum, pass.tokens() * q.rows());
    }
  }

  /**
   * Adds the size of a module's output for the pass's tokens.
   *
   * @param module the module's name
   * @param pass that computes it; says which rows are tokens
   * @param f [B·T,N]
   */
  public void measure(String module, ForwardPass pass, Tensor f) {
    try (PointerScope temporary = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Tensor real = pass.rowMask().view(-1, 1).to(torch.ScalarType.Double);
      Tensor sum = f.detach().to(torch.ScalarType.Double).abs().mul(real).sum().view(1);
      add(module, sum, pass.tokens() * f.size(1));
    }
  }

  private void add(String module, Tensor sum, long elements) {
    try (NoGradGuard guard = new NoGradGuard()) {
      Total total = totals.get(module);
      if (total == null) {
        total = new Total(sum.clone());
        scope.attach(total.sum);
        totals.put(module, total);
      } else {
        total.sum.add_(sum, new Scalar(1));
      }
      total.elements += elements;
    }
  }

  /**
   * Adds another record to this one.
   *
   * @param other of other batches; not changed
   */
  public void add(OutputMagnitudes other) {
    other.totals.forEach((module, total) -> add(module, total.sum, total.elements));
  }

  /**
   * {@return mean |f| of a module; 0 if it was never measured}
   *
   * @param module the module's name
   */
  public double mean(String module) {
    Total total = totals.get(module);
    return total == null || total.elements == 0 ? 0 : total.sum.item_double() / total.elements;
  }

  @Override
  public void close() {
    scope.close();
  }
}
