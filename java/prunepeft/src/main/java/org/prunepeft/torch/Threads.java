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
}
