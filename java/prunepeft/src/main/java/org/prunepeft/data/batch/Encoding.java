package org.prunepeft.data.batch;

import java.util.Arrays;
import java.util.List;

/**
 * A text as the encoder takes it, without padding.
 *
 * @param ids [T] token ids
 * @param types [T] segment ids: 0 for the first text, 1 for the second where the model has segments
 * @param labels [T] at each token the id of the next one, or {@link #NO_LABEL} where that is not
 *     learnt; null: the task is not a language model's
 * @param starts [T] the index of the first token of the text that a token belongs to, where several
 *     texts share the row; null: it is one text
 */
public record Encoding(int[] ids, int[] types, int[] labels, int[] starts) {
  /** The label of a token after which nothing is learnt. */
  public static final int NO_LABEL = -100;

  /**
   * Checks the lengths.
   *
   * @throws IllegalArgumentException if they differ
   */
  public Encoding {
    if (ids.length != types.length
        || labels != null && labels.length != ids.length
        || starts != null && starts.length != ids.length) {
      throw new IllegalArgumentException(
          "ids, types, labels and starts must have one length, got %d and %d, %s and %s"
              .formatted(
                  ids.length,
                  types.length,
                  labels == null ? "none" : labels.length,
                  starts == null ? "none" : starts.length));
    }
  }

  /**
   * A text of which nothing is learnt token by token.
   *
   * @param ids [T] token ids
   * @param types [T] segment ids
   */
  public Encoding(int[] ids, int[] types) {
    this(ids, types, null, null);
  }

  /**
   * A text of which a language model learns.
   *
   * @param ids [T] token ids
   * @param trained [T] whether a token contributes to the loss; the first one can't be, since
   *     nothing is before it
   */
  public static Encoding labelled(int[] ids, boolean[] trained) {
    int[] labels = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      labels[i] = i + 1 < ids.length && trained[i + 1] ? ids[i + 1] : NO_LABEL;
    }
    return new Encoding(ids, new int[ids.length], labels, null);
  }

  /**
   * Several texts as one row; of one, that itself.
   *
   * @param texts one or more, that a language model learns from
   */
  static Encoding row(List<Encoding> texts) {
    if (texts.size() == 1) {
      return texts.get(0);
    }
    int length = texts.stream().mapToInt(text -> text.ids.length).sum();
    Encoding row = new Encoding(new int[length], new int[length], new int[length], new int[length]);
    int from = 0;
    for (Encoding text : texts) {
      int tokens = text.ids.length;
      System.arraycopy(text.ids, 0, row.ids, from, tokens);
      System.arraycopy(text.types, 0, row.types, from, tokens);
      System.arraycopy(text.labels, 0, row.labels, from, tokens);
      Arrays.fill(row.starts, from, from + tokens, from);
      from += tokens;
    }
    return row;
  }

  /** How many tokens contribute to the loss. */
  public int learnt() {
    return labels == null
        ? 0
        : (int) Arrays.stream(labels).filter(label -> label != NO_LABEL).count();
  }
}
