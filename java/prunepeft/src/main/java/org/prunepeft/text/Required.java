package org.prunepeft.text;

/** What must be there, or in a range. */
public final class Required {
  private Required() {}

  /**
   * {@return a value that a file may have left out}
   *
   * @param name what messages call it
   * @param value null if it was left out
   * @param <T> its type
   * @throws IllegalArgumentException if it is null
   */
  public static <T> T present(String name, T value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " must not be null or missing");
    }
    return value;
  }

  /**
   * Checks a number.
   *
   * @param name what messages call it
   * @param value of a setting
   * @throws IllegalArgumentException if it is not finite and above 0
   */
  public static void above0(String name, double value) {
    if (!(value > 0 && Double.isFinite(value))) {
      throw new IllegalArgumentException(name + " must be above 0, got " + value);
    }
  }
}
