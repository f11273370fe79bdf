package org.prunepeft.study;

/**
 * What a run cost.
 *
 * @param search warm-up and rounds, or what was measured; null: nothing was searched
 * @param training of the modules that are kept
 * @param peakBytes the most resident memory of the run's process; null: the run has not kept it
 * @param gpuPeakBytes the most memory of a GPU that tensors had; null: the run had none, or has not
 *     kept it
 */
public record Costs(PhaseCost search, PhaseCost training, Long peakBytes, Long gpuPeakBytes) {
  /** {@return what the search cost, in trainings of its result; NaN: nothing was searched} */
  public double ratio() {
    return search == null ? Double.NaN : search.seconds() / training.seconds();
  }
}
