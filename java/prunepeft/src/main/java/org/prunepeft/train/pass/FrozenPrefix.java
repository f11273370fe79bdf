package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Precision;
import org.prunepeft.torch.ComputeDevice;

/**
 * The layers below the lowest module, whose outputs for a text are always the same: each is
 * computed once and kept, as long as there is room. Texts without room are computed each time.
 *
 * <p>Kept are the real tokens' hidden states; padding is 0 where it comes from here. In float16 a
 * value is rounded once (relative 2⁻¹¹). What the encoder gives in bfloat16 is kept so, in as
 * little memory. Not for two threads at once.
 */
public final class FrozenPrefix implements AutoCloseable {
  private final Encoder encoder;
  private final int layers;
  private final EncodedDataset data;
  private final boolean half;
  private final PointerScope scope;

  /** Row of an example's first token among those kept; 0: there is no room for it. */
  private final long[] firstRow;

  private final boolean[] known;

  /** Tokens that there is room for, and the padding row. */
  private final long keptTokens;

  /** [keptTokens, hidden]; row 0 is padding. Made with the first batch, in its type. */
  private Tensor kept;

  /**
   * @param layers how many of the encoder's layers hold no module, 1 or more
   * @param data the examples that will come
   * @param bytes room to keep them in; the first ones get it
   * @param half whether they are kept as float16
   */
  public FrozenPrefix(Encoder encoder, int layers, EncodedDataset data, long bytes, boolean half) {
    this.encoder = encoder;
    this.layers = layers;
    this.data = data.texts();
    this.half = half && encoder.precision() == Precision.FLOAT32;
    firstRow = new long[this.data.size()];
    known = new boolean[firstRow.length];
    boolean wide = !half && encoder.precision() == Precision.FLOAT32;
    long room = bytes / ((long) encoder.config().hidden() * (wide ? 4 : 2));
    long next = 1;
    for (int i = 0; i < firstRow.length && next + this.data.length(i) <= room; i++) {
      firstRow[i] = next;
      next += this.data.length(i);
    }
    keptTokens = next;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
    }
  }

  /** How many layers it stands for. */
  public int layers() {
    return layers;
  }

  /**
   * What layer {@code layers} takes in.
   *
   * @param insertions computes the linears; puts nothing into these layers
   * @return [B·T, hidden], without a gradient
   */
  public Tensor apply(Batch batch, EncoderInput input, Insertions insertions) {
    return ofTexts(batch.texts(), input, insertions);
  }

  private Tensor ofTexts(Batch batch, EncoderInput input, Insertions insertions) {
    try (NoGradGuard guard = new NoGradGuard()) {
      List<Integer> missing = new ArrayList<>();
      for (int i = 0; i < batch.rows(); i++) {
        if (!known[batch.indices()[i]]) {
          missing.add(i);
        }
      }
      if (missing.isEmpty()) {
        return keptRows(batch);
      }
      if (missing.size() == batch.rows()) {
        Tensor x = compute(input, insertions);
        keep(batch, x);
        return x;
      }
      return mixed(batch, missing, input.device(), insertions);
    }
  }

  private Tensor compute(EncoderInput input, Insertions insertions) {
    return encoder.layers(0, layers, encoder.embed(input), input, insertions);
  }

  /** Some rows are known, some are not. */
  private Tensor mixed(
      Batch batch, List<Integer> missing, ComputeDevice device, Insertions insertions) {
    int[] examples = missing.stream().mapToInt(i -> batch.indices()[i]).toArray();
    Batch rest = Batch.of(data, examples);
    EncoderInput input = Inputs.of(device, rest);
    Tensor computed = compute(input, insertions);
    Tensor x = keptRows(batch);
    long[] to = new long[rest.rows() * rest.length()];
    for (int i = 0; i < to.length; i++) {
      long row = missing.get(i / rest.length());
      to[i] = row * batch.length() + i % rest.length();
    }
    x.index_copy_(0, device.longs(to, to.length), computed);
    keep(rest, computed);
    return x;
  }

  /** Known rows from what is kept; 0 for padding and for unknown ones. */
  private Tensor keptRows(Batch batch) {
    long[] from = new long[batch.rows() * batch.length()];
    for (int i = 0; i < batch.rows(); i++) {
      int example = batch.indices()[i];
      for (int t = 0; known[example] && t < data.length(example); t++) {
        from[i * batch.length() + t] = firstRow[example] + t;
      }
    }
    Tensor x = kept.index_select(0, ComputeDevice.of(kept).longs(from, from.length));
    return encoder.precision().of(x);
  }

  /** Keeps the rows for which there is room; on failure they are as unknown as before. */
  private void keep(Batch batch, Tensor x) {
    long[] from = new long[batch.rows() * batch.length()];
    long[] to = new long[from.length];
    int count = 0;
    if (kept == null) {
      torch.ScalarType type = half ? torch.ScalarType.Half : x.scalar_type().intern();
      kept = torch.zeros(new long[] {keptTokens, x.size(1)}, ComputeDevice.of(x).options(type));
      scope.attach(kept);
    }
    for (int i = 0; i < batch.rows(); i++) {
      int example = batch.indices()[i];
      if (firstRow[example] == 0) {
        continue;
      }
      for (int t = 0; t < data.length(example); t++, count++) {
        from[count] = (long) i * batch.length() + t;
        to[count] = firstRow[example] + t;
      }
    }
    if (count > 0) {
      Tensor values =
          x.index_select(0, ComputeDevice.of(x).longs(Arrays.copyOf(from, count), count));
      kept.index_copy_(
          0,
          ComputeDevice.of(x).longs(Arrays.copyOf(to, count), count),
          half ? values.to(torch.ScalarType.Half) : values);
    }
    for (int example : batch.indices()) {
      known[example] |= firstRow[example] != 0;
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
