package org.prunepeft.text;

/** What must be there. */
public final class Required {
  private Required() {}

  /**
   * Checks a value that a file may have left out.
   *
   * @param name what messages call it
   * @throws IllegalArgumentException if it is null
   */
  public static <T> T present(String name, T value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " must not be null or missing");
    }
    return value;
  }
}
