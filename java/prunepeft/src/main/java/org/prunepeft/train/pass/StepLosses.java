package org.prunepeft.train.pass;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.ComputeDevice;

/**
 * The losses of the latest steps, left on the device until all are read at once: reading waits for
 * the device, and each step would have to.
 */
public final class StepLosses implements AutoCloseable {
  private final int capacity;
  private final PointerScope scope;

  /** [capacity] float64. */
  private final Tensor sums;

  private int steps;

  /**
   * @param capacity the most steps that are kept, 1 or more
   */
  public StepLosses(ComputeDevice device, int capacity) {
    this.capacity = capacity;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      sums = torch.zeros(new long[] {capacity}, device.options(torch.ScalarType.Double));
    }
  }

  /** A step begins; there is room for it. */
  void begin() {
    steps++;
  }

  /**
   * Adds to the loss of the step that began last.
   *
   * @param loss [] float32, on the device
   * @param share of it that is added
   */
  void add(Tensor loss, double share) {
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope temporary = new PointerScope()) {
      sums.select(0, steps - 1).add_(loss, new Scalar(share));
    }
  }

  /** Whether there is no room for another step. */
  public boolean full() {
    return steps == capacity;
  }

  /** The losses of the steps that are kept, in their order; none is kept any more. */
  public double[] read() {
    double[] losses = new double[steps];
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope temporary = new PointerScope()) {
      DoublePointer values = ComputeDevice.CPU.place(sums).data_ptr_double();
      values.get(losses);
      sums.zero_();
    }
    steps = 0;
    return losses;
  }

  @Override
  public void close() {
    scope.close();
  }
}
