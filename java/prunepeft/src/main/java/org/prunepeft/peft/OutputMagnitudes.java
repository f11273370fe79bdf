package org.prunepeft.peft;

import java.util.Map;
import java.util.TreeMap;

/** Running means of the size of the modules' outputs, |f|, over elements of real tokens. */
public final class OutputMagnitudes {
  private final Map<String, double[]> sums = new TreeMap<>();

  /**
   * @param module the module's name
   * @param sum Σ |f|
   * @param elements over how many
   */
  public void add(String module, double sum, long elements) {
    double[] entry = sums.computeIfAbsent(module, name -> new double[2]);
    entry[0] += sum;
    entry[1] += elements;
  }

  /** Adds another record to this one. */
  public void add(OutputMagnitudes other) {
    other.sums.forEach((module, entry) -> add(module, entry[0], (long) entry[1]));
  }

  /** Mean |f| of a module; 0 if it was never measured. */
  public double mean(String module) {
    double[] entry = sums.get(module);
    return entry == null || entry[1] == 0 ? 0 : entry[0] / entry[1];
  }
}
