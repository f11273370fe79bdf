package org.prunepeft.kernels;

import org.prunepeft.kernels.binding.LibPrunePeft;

/** What one pass over a module's n weights w and gradients g gives; see {@code pp_statistic}. */
public final class Statistics {
  private final double[] row;

  /**
   * @param row in the order of {@code pp_statistic}
   */
  Statistics(double[] row) {
    this.row = row;
  }

  /** {@return n} */
  public double count() {
    return row[LibPrunePeft.PP_COUNT];
  }

  /** {@return Σ w²} */
  public double sumW2() {
    return row[LibPrunePeft.PP_SUM_W2];
  }

  /** {@return Σ |w|} */
  public double sumAbsW() {
    return row[LibPrunePeft.PP_SUM_ABS_W];
  }

  /** {@return how many weights are not 0 once rounded to the type that the call named} */
  public double nonZero() {
    return row[LibPrunePeft.PP_NONZERO];
  }

  /** {@return how many |w| lie below the group's threshold} */
  public double below() {
    return row[LibPrunePeft.PP_BELOW];
  }

  /** {@return Σ g²} */
  public double sumG2() {
    return row[LibPrunePeft.PP_SUM_G2];
  }

  /** {@return Σ |g|} */
  public double sumAbsG() {
    return row[LibPrunePeft.PP_SUM_ABS_G];
  }

  /** {@return Σ w·g} */
  public double sumWg() {
    return row[LibPrunePeft.PP_SUM_WG];
  }

  /** {@return Σ |w·g|} */
  public double sumAbsWg() {
    return row[LibPrunePeft.PP_SUM_ABS_WG];
  }

  /** {@return Σ (w·g)²} */
  public double sumWg2() {
    return row[LibPrunePeft.PP_SUM_WG2];
  }
}
