package org.prunepeft.examples;

import org.prunepeft.search.Criterion;
import org.prunepeft.search.ModuleStatistics;

/** A criterion: the mean gradient of a module by the gradients' root mean square. */
public final class SignalToNoise implements Criterion {
  @Override
  public String name() {
    return "signal-to-noise";
  }

  @Override
  public Order prunedFirst() {
    return Order.SMALLEST;
  }

  @Override
  public boolean seesData() {
    return true;
  }

  @Override
  public double score(ModuleStatistics s) {
    double rootMeanSquare = Math.sqrt(s.sumG2() / s.count());
    return rootMeanSquare == 0 ? 0 : s.sumAbsG() / s.count() / rootMeanSquare;
  }
}
