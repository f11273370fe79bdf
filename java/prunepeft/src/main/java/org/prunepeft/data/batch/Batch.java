package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Examples of like length, padded to the longest; values row by row. An example is a row, or two
 * one below the other where the texts of a pair are encoded by themselves.
 *
 * @param rows of the encoder's input: the examples' number or twice as many
 * @param length tokens in a row, padding included
 * @param ids [rows · length] token ids, 0 where padded
 * @param types [rows · length] segment ids, 0 where padded
 * @param mask [rows · length] 1 for a token, 0 for padding
 * @param targets [examples] numbers of the classes, or the numbers to be predicted
 * @param indices [examples] each example's place in the data set
 */
public record Batch(
    int rows, int length, long[] ids, long[] types, byte[] mask, double[] targets, int[] indices) {
  /**
   * Examples of a data set as a batch.
   *
   * @param indices places in the data set; kept, not copied
   */
  public static Batch of(EncodedDataset data, int[] indices) {
    int towers = data.towers();
    int rows = indices.length * towers;
    int length = 0;
    for (int index : indices) {
      length = Math.max(length, data.length(index));
    }
    long[] ids = new long[rows * length];
    long[] types = new long[rows * length];
    byte[] mask = new byte[rows * length];
    double[] targets = Arrays.stream(indices).mapToDouble(data::target).toArray();
    for (int row = 0; row < rows; row++) {
      Encoding encoding = data.encoding(indices[row / towers] * towers + row % towers);
      for (int i = 0; i < encoding.ids().length; i++) {
        ids[row * length + i] = encoding.ids()[i];
        types[row * length + i] = encoding.types()[i];
        mask[row * length + i] = 1;
      }
    }
    return new Batch(rows, length, ids, types, mask, targets, indices);
  }

  /** How many examples there are. */
  public int examples() {
    return indices.length;
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
    return new Batch(rows, length, ids, types, mask, EncodedDataset.unlabelled(rows), texts);
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
    long[] moreIds = new long[rows * longer];
    long[] moreTypes = new long[rows * longer];
    byte[] moreMask = new byte[rows * longer];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(ids, row * length, moreIds, row * longer, length);
      System.arraycopy(types, row * length, moreTypes, row * longer, length);
      System.arraycopy(mask, row * length, moreMask, row * longer, length);
    }
    return new Batch(rows, longer, moreIds, moreTypes, moreMask, targets, indices);
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
   * @param batches one or more, of one length and as many rows an example
   */
  public static Batch concatenated(List<Batch> batches) {
    if (batches.size() == 1) {
      return batches.get(0);
    }
    int length = batches.get(0).length;
    int rows = batches.stream().mapToInt(Batch::rows).sum();
    long[] ids = new long[rows * length];
    long[] types = new long[rows * length];
    byte[] mask = new byte[rows * length];
    int examples = batches.stream().mapToInt(Batch::examples).sum();
    double[] targets = new double[examples];
    int[] indices = new int[examples];
    int first = 0;
    int example = 0;
    for (Batch batch : batches) {
      if (batch.length != length) {
        throw new IllegalArgumentException(
            "the batches must have one length, got " + length + " and " + batch.length);
      }
      System.arraycopy(batch.ids, 0, ids, first * length, batch.ids.length);
      System.arraycopy(batch.types, 0, types, first * length, batch.types.length);
      System.arraycopy(batch.mask, 0, mask, first * length, batch.mask.length);
      System.arraycopy(batch.targets, 0, targets, example, batch.examples());
      System.arraycopy(batch.indices, 0, indices, example, batch.examples());
      first += batch.rows;
      example += batch.examples();
    }
    return new Batch(rows, length, ids, types, mask, targets, indices);
  }
}
