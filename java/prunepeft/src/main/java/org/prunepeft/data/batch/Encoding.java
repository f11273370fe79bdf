package org.prunepeft.data.batch;

/**
 * A text as the encoder takes it, without padding.
 *
 * @param ids [T] token ids
 * @param types [T] segment ids: 0 for the first text, 1 for the second where the model has segments
 */
public record Encoding(int[] ids, int[] types) {
  /**
   * Checks the lengths.
   *
   * @throws IllegalArgumentException if they differ
   */
  public Encoding {
    if (ids.length != types.length) {
      throw new IllegalArgumentException(
          "ids and types must have one length, got %d and %d".formatted(ids.length, types.length));
    }
  }
}
