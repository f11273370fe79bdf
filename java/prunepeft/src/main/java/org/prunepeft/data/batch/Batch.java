package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Examples of like length, padded to the longest; values row by row.
 *
 * @param rows examples
 * @param length tokens in a row, padding included
 * @param ids [rows · length] token ids, 0 where padded
 * @param types [rows · length] segment ids, 0 where padded
 * @param mask [rows · length] 1 for a token, 0 for padding
 * @param targets [rows] numbers of the classes, or the numbers to be predicted
 * @param indices [rows] each example's place in the data set
 */
public record Batch(
    int rows, int length, long[] ids, long[] types, byte[] mask, double[] targets, int[] indices) {
  /**
   * Examples of a data set as a batch.
   *
   * @param indices places in the data set; kept, not copied
   */
  public static Batch of(EncodedDataset data, int[] indices) {
    int rows = indices.length;
    int length = 0;
    for (int index : indices) {
      length = Math.max(length, data.length(index));
    }
    long[] ids = new long[rows * length];
    long[] types = new long[rows * length];
    byte[] mask = new byte[rows * length];
    double[] targets = new double[rows];
    for (int row = 0; row < rows; row++) {
      Encoding encoding = data.encoding(indices[row]);
      for (int i = 0; i < encoding.ids().length; i++) {
        ids[row * length + i] = encoding.ids()[i];
        types[row * length + i] = encoding.types()[i];
        mask[row * length + i] = 1;
      }
      targets[row] = data.target(indices[row]);
    }
    return new Batch(rows, length, ids, types, mask, targets, indices);
  }

  /**
   * Cuts it into batches of at most so many rows, in order, each padded to its own longest. A batch
   * that is small enough is returned itself.
   *
   * @param data that the batch was cut from
   * @param size 1 or more
   */
  public List<Batch> split(EncodedDataset data, int size) {
    if (rows <= size) {
      return List.of(this);
    }
    List<Batch> parts = new ArrayList<>();
    for (int from = 0; from < rows; from += size) {
      int to = (int) Math.min(rows, (long) from + size);
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
   * @param batches one or more, of one length
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
    double[] targets = new double[rows];
    int[] indices = new int[rows];
    int first = 0;
    for (Batch batch : batches) {
      if (batch.length != length) {
        throw new IllegalArgumentException(
            "the batches must have one length, got " + length + " and " + batch.length);
      }
      System.arraycopy(batch.ids, 0, ids, first * length, batch.ids.length);
      System.arraycopy(batch.types, 0, types, first * length, batch.types.length);
      System.arraycopy(batch.mask, 0, mask, first * length, batch.mask.length);
      System.arraycopy(batch.targets, 0, targets, first, batch.rows);
      System.arraycopy(batch.indices, 0, indices, first, batch.rows);
      first += batch.rows;
    }
    return new Batch(rows, length, ids, types, mask, targets, indices);
  }
}
