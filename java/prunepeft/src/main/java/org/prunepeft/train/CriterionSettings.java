package org.prunepeft.train;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.prunepeft.kernels.DType;

/**
 * What the criteria's definitions leave open.
 *
 * @param zeroType a weight counts as zero if it is 0 once rounded to this type
 * @param thresholdQuantile the threshold t is this quantile of |w| over all modules of a kind, in
 *     [0, 1]
 * @param fixedThreshold a fixed t instead; null: the quantile
 * @param activationBatches from how many batches of a round the size of outputs is taken, 2 or more
 */
@RecordBuilder
public record CriterionSettings(
    DType zeroType, double thresholdQuantile, Double fixedThreshold, int activationBatches)
    implements CriterionSettingsBuilder.With {
  /** The quantile of |w| that the threshold is by default. */
  public static final double DEFAULT_QUANTILE = 0.1;

  /** Zeros in float16, the 10 % quantile as threshold, magnitudes of 8 batches. */
  public static final CriterionSettings DEFAULT =
      CriterionSettingsBuilder.builder()
          .zeroType(DType.FLOAT16)
          .thresholdQuantile(DEFAULT_QUANTILE)
          .activationBatches(8)
          .build();

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public CriterionSettings {
    if (!(thresholdQuantile >= 0 && thresholdQuantile <= 1)) {
      throw new IllegalArgumentException(
          "the threshold quantile must be in [0, 1], got " + thresholdQuantile);
    }
    if (fixedThreshold != null && !(fixedThreshold >= 0)) {
      throw new IllegalArgumentException(
          "the fixed threshold must be 0 or more, got " + fixedThreshold);
    }
    if (activationBatches < 2) {
      throw new IllegalArgumentException(
          "activation batches must be at least 2, got " + activationBatches);
    }
  }

  /** {@return a builder that begins with the defaults} */
  public static CriterionSettingsBuilder builder() {
    return CriterionSettingsBuilder.builder(DEFAULT);
  }
}
