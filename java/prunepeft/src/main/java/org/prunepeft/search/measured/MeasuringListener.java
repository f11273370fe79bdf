package org.prunepeft.search.measured;

/** Hears how a measured search goes on, in the thread that runs it. What it throws ends it. */
public interface MeasuringListener {
  /** Hears nothing. */
  MeasuringListener NONE = new MeasuringListener() {};

  /** What subsets are measured for. */
  enum Phase {
    /** To learn what the modules are worth. */
    DESIGN,
    /** To find the best subset among those that promise to be it. */
    REFINEMENT,
    /** To know the configurations of the front. */
    FRONT
  }

  /**
   * Subsets have been measured.
   *
   * @param phase what for
   * @param measured how many so far, in all
   * @param total how many there will be at most, in all
   */
  default void measured(Phase phase, int measured, int total) {}

  /**
   * Asked before each call of the measurer; if true, the search ends with a {@link
   * java.util.concurrent.CancellationException}.
   *
   * @return true to end it; false, unless overridden
   */
  default boolean cancelled() {
    return false;
  }
}
