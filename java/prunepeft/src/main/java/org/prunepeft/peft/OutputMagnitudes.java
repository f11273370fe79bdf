package org.prunepeft.peft;

import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.ModuleOutput;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.StateExchange;

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

  /** Adds the size of a module's output for the pass's tokens. */
  void measure(String module, ForwardPass pass, ModuleOutput output) {
    ForwardPass.Measurement rows = pass.measurement();
    ComputeDevice device = ComputeDevice.of(rows.rowMask());
    try (PointerScope temporary = new PointerScope()) {
      Tensor sum = torch.zeros(new long[] {1}, device.options(torch.ScalarType.Double));
      output.magnitude(
          pass.tape().context(device.kernels()),
          new BytePointer(rows.rowMask().data_ptr()),
          sum.data_ptr());
      add(module, sum, rows.tokens() * output.q().rows());
    }
  }

  /** The same of one that is stored, f [B·T,N]. */
  void measure(String module, ForwardPass.Measurement rows, Tensor f) {
    try (PointerScope temporary = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Tensor real = rows.rowMask().view(-1, 1).to(torch.ScalarType.Double);
      Tensor sum = f.detach().to(torch.ScalarType.Double).abs().mul(real).sum().view(1);
      add(module, sum, rows.tokens() * f.size(1));
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

  /**
   * Gives the sums to a checkpoint, or takes them from one.
   *
   * @param state of this record alone
   * @param device where the sums lie
   */
  public void exchange(StateExchange state, ComputeDevice device) {
    String[] modules =
        state.value("modules", String[].class, totals.keySet().toArray(String[]::new));
    for (String module : modules) {
      Total total = totals.get(module);
      double sum = state.number("sum " + module, total == null ? 0 : total.sum.item_double());
      long elements =
          state.value("elements " + module, Long.class, total == null ? 0 : total.elements);
      if (state.restoring()) {
        try (PointerScope temporary = new PointerScope()) {
          Tensor restored = torch.zeros(new long[] {1}, device.options(torch.ScalarType.Double));
          restored.fill_(new Scalar(sum));
          add(module, restored, elements);
        }
      }
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
