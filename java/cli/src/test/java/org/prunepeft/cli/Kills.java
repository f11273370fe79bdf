package org.prunepeft.cli;

/** How often tests kill what they start, and when; {@code java/kill-and-resume} sets both. */
final class Kills {
  private static final long SEED = Long.getLong("prunepeft.kills.seed", 1);

  private Kills() {}

  /**
   * @param ofABuild where the script doesn't say
   */
  static int count(int ofABuild) {
    return Integer.getInteger("prunepeft.kills", ofABuild);
  }

  /** Whether the script has commands asked to end by each signal. */
  static boolean areSignals() {
    return "signals".equals(System.getProperty("prunepeft.kills.only"));
  }

  /** What the moments follow from, of a command or a test. */
  static long seed(String name) {
    return SEED + name.hashCode();
  }
}
