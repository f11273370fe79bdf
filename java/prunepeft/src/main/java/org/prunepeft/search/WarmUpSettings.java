package org.prunepeft.search;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.OptionalInt;

/**
 * How the warm-up goes.
 *
 * @param turns how many turns of training and removal each criterion gets, at least 1
 * @param removedPerTurn how many modules each removes in a turn, at least 1; empty for a sixteenth
 *     of the search space, rounded half up, and at least 1
 * @param partitioning where the layers are cut
 * @param spreadThreshold the least spread of a criterion's scores, relative to their mean, with
 *     which it counts, in [0, 1)
 * @param c of k = sigmoid(c − rank)
 * @param seed decides between modules that are alike in all else
 */
@RecordBuilder
public record WarmUpSettings(
    int turns,
    OptionalInt removedPerTurn,
    Partitioning partitioning,
    double spreadThreshold,
    double c,
    long seed)
    implements WarmUpSettingsBuilder.With {
  /** The least relative spread with which a criterion counts by default. */
  static final double DEFAULT_SPREAD_THRESHOLD = 0.01;

  /** The paper's c. */
  static final double DEFAULT_C = 3;

  /** 3 turns as in the paper, a sixteenth of the modules each, spindle blocks, seed 0. */
  public static final WarmUpSettings DEFAULT =
      WarmUpSettingsBuilder.builder()
          .turns(3)
          .partitioning(Partitioning.SPINDLE)
          .spreadThreshold(DEFAULT_SPREAD_THRESHOLD)
          .c(DEFAULT_C)
          .build();

  private static final int SHARE = 16;

  /**
   * @throws IllegalArgumentException if a setting is out of its range
   */
  public WarmUpSettings {
    if (turns < 1) {
      throw new IllegalArgumentException("turns must be at least 1, got " + turns);
    }
    if (removedPerTurn.isPresent() && removedPerTurn.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "modules removed in a turn must be at least 1, got " + removedPerTurn.getAsInt());
    }
    requireRule(spreadThreshold, c);
  }

  static void requireRule(double spreadThreshold, double c) {
    if (!(spreadThreshold >= 0 && spreadThreshold < 1)) {
      throw new IllegalArgumentException(
          "the spread threshold must be at least 0 and below 1, got " + spreadThreshold);
    }
    if (!Double.isFinite(c)) {
      throw new IllegalArgumentException("c must be a finite number, got " + c);
    }
  }

  /** {@return a builder that begins with the defaults} */
  public static WarmUpSettingsBuilder builder() {
    return WarmUpSettingsBuilder.builder(DEFAULT);
  }

  /**
   * {@return how many modules of a search space each criterion removes in a turn}
   *
   * @param space all modules that there are
   */
  public int removedPerTurn(SearchSpace space) {
    int modules = space.candidates().size();
    return removedPerTurn.orElse(Math.max(1, (2 * modules + SHARE) / (2 * SHARE)));
  }
}
