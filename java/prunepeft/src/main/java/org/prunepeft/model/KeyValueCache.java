package org.prunepeft.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/**
 * Keys and values of the tokens that a decoder has seen, by layer. For one batch of texts, without
 * gradients, and not for two threads at once.
 */
public final class KeyValueCache implements AutoCloseable {
  private final int rows;
  private final int capacity;
  private final int longest;
  private final PointerScope scope;

  /** [B, capacity, key/value heads · head size] each. */
  private final List<Tensor> keys = new ArrayList<>();

  private final List<Tensor> values = new ArrayList<>();

  /** [B, 1] int32. */
  private final Tensor starts;

  private int length;

  /**
   * An empty one. Takes 2 · layers · rows · capacity · key/value heads · head size values.
   *
   * @param decoder whose keys and values it is for
   * @param rows B, texts that are continued together, 1 or more
   * @param capacity the most tokens a row, padding and new ones together; 1 or more
   * @param longest tokens that a text will have at most, padding left out. Where a decoder's
   *     frequencies of rotation depend on the length, they are those of this one from the first
   *     token on, so that all keys are rotated alike
   * @throws IllegalArgumentException if there is no row or no place, or the model has fewer
   *     positions
   */
  public KeyValueCache(Decoder decoder, int rows, int capacity, int longest) {
    EncoderConfig config = decoder.config();
    if (rows < 1 || capacity < 1 || longest < 1 || longest > config.maxTokens()) {
      throw new IllegalArgumentException(
          "a cache needs rows of texts of 1 to %d tokens, as many as the model has positions, got %d x %d for texts of %d"
              .formatted(config.maxTokens(), rows, capacity, longest));
    }
    this.rows = rows;
    this.capacity = capacity;
    this.longest = longest;
    long[] shape = {rows, capacity, config.outputs(Projection.KEY)};
    TensorOptions options = decoder.device().options(decoder.precision().type());
    try (PointerScope own = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      for (int layer = 0; layer < config.layers(); layer++) {
        keys.add(torch.zeros(shape, options));
        values.add(torch.zeros(shape, options));
      }
      starts = torch.zeros(new long[] {rows, 1}, decoder.device().options(torch.ScalarType.Int));
      scope = own;
      own.extend();
    }
  }

  /** {@return how many tokens a row has, padding among them} */
  public int length() {
    return length;
  }

  /** {@return tokens that a text will have at most} */
  int longest() {
    return longest;
  }

  /**
   * Takes a batch in, whose keys and values come by {@link #keys} and {@link #values}.
   *
   * @return where each token's text begins, [B·T] int32; good until the next call
   */
  Tensor begin(EncoderInput input) {
    long tokens = input.length();
    if (input.rows() != rows || length + tokens > capacity) {
      throw new IllegalArgumentException(
          "a cache of %d x %d tokens, of which %d are taken, has no place for %d x %d"
              .formatted(rows, capacity, length, input.rows(), tokens));
    }
    if (input.starts() != null) {
      starts.copy_(input.starts().view(rows, tokens).narrow(1, tokens - 1, 1));
    } else if (length == 0) {
      starts.zero_();
    }
    // Of one row, reshape gives a view of one number; kernels read one after another.
    return starts.expand(rows, tokens).reshape((long) rows * tokens).contiguous();
  }

  /** To be called when all layers have given theirs. */
  void end(int tokens) {
    length += tokens;
  }

  /**
   * A layer's keys, with new ones.
   *
   * @param key [B·T, key/value heads · head size]
   * @return [B·capacity, key/value heads · head size], of which the first length + T of each row
   *     are set
   */
  Tensor keys(int layer, Tensor key) {
    return extended(keys.get(layer), key);
  }

  /** The same of values. */
  Tensor values(int layer, Tensor value) {
    return extended(values.get(layer), value);
  }

  private Tensor extended(Tensor all, Tensor added) {
    long width = added.size(1);
    long tokens = added.size(0) / rows;
    all.narrow(1, length, tokens).copy_(added.reshape(rows, tokens, width));
    return all.view((long) rows * capacity, width);
  }

  @Override
  public void close() {
    scope.close();
  }
}
