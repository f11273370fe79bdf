package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * Examples of like length, padded to the longest; values row by row. An example is a row, or two
 * one below the other where the texts of a pair are encoded by themselves.
 *
 * @param rows of the encoder's input: the examples' number or twice as many
 * @param length tokens in a row, padding included
 * @param ids [rows · length] token ids, 0 where padded
 * @param types [rows · length] segment ids, 0 where padded
 * @param mask [rows · length] 1 for a token, 0 for padding
 * @param targets [examples] numbers of the classes, or the numbers to be predicted; of a language
 *     model the number of tokens that contribute to the loss
 * @param indices [examples] each example's place in the data set
 * @param labels [rows · length] the next token's id, or {@link Encoding#NO_LABEL}, as where padded;
 *     null: the task is not a language model's
 * @param starts [rows · length] the index in its row of the first token of the text that a token
 *     belongs to, 0 where padded; null: every row is one text
 */
public record Batch(
    int rows,
    int length,
    long[] ids,
    long[] types,
    byte[] mask,
    double[] targets,
    int[] indices,
    long[] labels,
    int[] starts) {
  /**
   * Examples of a data set as a batch.
   *
   * @param indices places in the data set; kept, not copied
   */
  public static Batch of(EncodedDataset data, int[] indices) {
    int towers = data.towers();
    int rows = indices.length * towers;
    // A text without tokens is a row of padding.
    int length = 1;
    boolean labelled = false;
    boolean packed = false;
    for (int index : indices) {
      length = Math.max(length, data.length(index));
      labelled |= data.encoding(index * towers).labels() != null;
      packed |= data.encoding(index * towers).starts() != null;
    }
    Batch batch =
        empty(
            rows,
            length,
            Arrays.stream(indices).mapToDouble(data::target).toArray(),
            indices,
            labelled,
            packed);
    for (int row = 0; row < rows; row++) {
      batch.put(row, data.encoding(indices[row / towers] * towers + row % towers));
    }
    return batch;
  }

  /** All padding. */
  private static Batch empty(
      int rows, int length, double[] targets, int[] indices, boolean labelled, boolean packed) {
    int tokens = rows * length;
    long[] labels = labelled ? new long[tokens] : null;
    if (labelled) {
      Arrays.fill(labels, Encoding.NO_LABEL);
    }
    return new Batch(
        rows,
        length,
        new long[tokens],
        new long[tokens],
        new byte[tokens],
        targets,
        indices,
        labels,
        packed ? new int[tokens] : null);
  }

  private void put(int row, Encoding encoding) {
    for (int i = 0, at = row * length; i < encoding.ids().length; i++, at++) {
      ids[at] = encoding.ids()[i];
      types[at] = encoding.types()[i];
      mask[at] = 1;
      if (encoding.labels() != null) {
        labels[at] = encoding.labels()[i];
      }
      if (encoding.starts() != null) {
        starts[at] = encoding.starts()[i];
      }
    }
  }

  /** How many examples there are. */
  public int examples() {
    return indices.length;
  }

  /**
   * What its mean loss is over: its examples; of a language model the tokens that contribute to the
   * loss.
   */
  public long weight() {
    return labels == null ? examples() : (long) Arrays.stream(targets).sum();
  }

  /** Rows of an example: see {@link EncodedDataset#towers}. */
  public int towers() {
    return rows / indices.length;
  }

  /** Each row as an example of {@link EncodedDataset#texts}; their targets are not known. */
  public Batch texts() {
    if (rows == indices.length) {
      return this;
    }
    int towers = towers();
    int[] texts = new int[rows];
    for (int row = 0; row < rows; row++) {
      texts[row] = indices[row / towers] * towers + row % towers;
    }
    return new Batch(
        rows, length, ids, types, mask, EncodedDataset.unlabelled(rows), texts, labels, starts);
  }

  /**
   * Cuts it into batches of at most so many examples, in order, each padded to its own longest. A
   * batch that is small enough is returned itself.
   *
   * @param data that the batch was cut from
   * @param size 1 or more
   */
  public List<Batch> split(EncodedDataset data, int size) {
    if (examples() <= size) {
      return List.of(this);
    }
    List<Batch> parts = new ArrayList<>();
    for (int from = 0; from < examples(); from += size) {
      int to = (int) Math.min(examples(), (long) from + size);
      parts.add(of(data, Arrays.copyOfRange(indices, from, to)));
    }
    return parts;
  }

  /**
   * The same with more padding.
   *
   * @param longer tokens in a row, no fewer than there are
   */
  public Batch padded(int longer) {
    if (longer == length) {
      return this;
    }
    Batch batch = empty(rows, longer, targets, indices, labels != null, starts != null);
    for (int row = 0; row < rows; row++) {
      batch.copy(this, row * length, row * longer, length);
    }
    return batch;
  }

  /** Takes tokens of another batch. */
  private void copy(Batch from, int source, int target, int count) {
    copy(from, Batch::ids, source, target, count);
    copy(from, Batch::types, source, target, count);
    copy(from, Batch::mask, source, target, count);
    copy(from, Batch::labels, source, target, count);
    copy(from, Batch::starts, source, target, count);
  }

  private void copy(Batch from, Function<Batch, Object> values, int source, int target, int count) {
    if (values.apply(from) != null) {
      System.arraycopy(values.apply(from), source, values.apply(this), target, count);
    }
  }

  /** Tokens of the longest text, of which a packed row has several; else a row's, with padding. */
  public int longest() {
    int longest = starts == null ? length : 1;
    for (int i = 0; starts != null && i < mask.length; i++) {
      longest = Math.max(longest, mask[i] * (i % length - starts[i] + 1));
    }
    return longest;
  }

  /** How many tokens there are, padding left out. */
  public long tokens() {
    long tokens = 0;
    for (byte real : mask) {
      tokens += real;
    }
    return tokens;
  }

  /**
   * The rows of some batches one below the other; of one, that itself. Indices are those of each
   * batch's own data set.
   *
   * @param batches one or more, of one length and as many rows an example, of one kind of task
   */
  public static Batch concatenated(List<Batch> batches) {
    if (batches.size() == 1) {
      return batches.get(0);
    }
    int length = batches.get(0).length;
    Batch all =
        empty(
            batches.stream().mapToInt(Batch::rows).sum(),
            length,
            batches.stream().flatMapToDouble(batch -> Arrays.stream(batch.targets)).toArray(),
            batches.stream().flatMapToInt(batch -> Arrays.stream(batch.indices)).toArray(),
            batches.stream().anyMatch(batch -> batch.labels != null),
            batches.stream().anyMatch(batch -> batch.starts != null));
    int first = 0;
    for (Batch batch : batches) {
      if (batch.length != length) {
        throw new IllegalArgumentException(
            "the batches must have one length, got " + length + " and " + batch.length);
      }
      all.copy(batch, 0, first * length, batch.rows * length);
      first += batch.rows;
    }
    return all;
  }
}
