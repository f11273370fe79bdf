package org.prunepeft.torch;

/** How many threads a pool may have. */
public final class Threads {
  /** More than any processor has; some thousands take minutes to start, and a million crash. */
  public static final int MOST = 1024;

  private Threads() {}

  /**
   * Checks a number, without loading a native library.
   *
   * @throws IllegalArgumentException if it is not in [1, {@value #MOST}]
   */
  public static void require(int threads) {
    if (threads < 1 || threads > MOST) {
      throw new IllegalArgumentException(
          "threads must be in [1, %d], got %d".formatted(MOST, threads));
    }
  }

  /** A few threads more than processors are slow; many more are a mistake. */
  private static final int MOST_EACH = 4;

  /**
   * Checks a number that is meant for this machine.
   *
   * @throws IllegalArgumentException if it is below 1 or above four times the processors
   */
  public static void requireHere(int threads) {
    require(threads, Runtime.getRuntime().availableProcessors());
  }

  /** The same for a machine with so many processors. */
  static void require(int threads, int processors) {
    require(threads);
    if (threads > MOST_EACH * processors) {
      throw new IllegalArgumentException(
          "threads must be at most %d, %d for each of the %d processors here, got %d"
              .formatted(MOST_EACH * processors, MOST_EACH, processors, threads));
    }
  }
}
