package org.prunepeft.text;

/** What must be there. */
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
}
