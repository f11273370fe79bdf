package org.prunepeft.checkpoint;

import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;

/**
 * BERT's variables in a TensorFlow checkpoint, under their Hugging Face names and in PyTorch's
 * layout.
 *
 * <table>
 *   <caption>Names</caption>
 *   <tr><th>TensorFlow</th><th>Hugging Face</th></tr>
 *   <tr><td>bert/embeddings/word_embeddings</td><td>bert.embeddings.word_embeddings.weight</td></tr>
 *   <tr><td>bert/encoder/layer_3/output/dense/kernel [in,out]</td>
 *       <td>bert.encoder.layer.3.output.dense.weight [out,in]</td></tr>
 *   <tr><td>.../LayerNorm/gamma, .../LayerNorm/beta</td><td>...LayerNorm.weight, ...LayerNorm.bias</td></tr>
 *   <tr><td>cls/predictions/output_bias</td><td>cls.predictions.bias</td></tr>
 * </table>
 *
 * <p>What comes before {@code bert/} or {@code cls/} is left out.
 */
public final class TensorFlowBert implements Checkpoint {
  /**
   * @param variable as it is stored
   * @param transposed whether its two axes are to be exchanged
   */
  private record Stored(TensorBundle.Variable variable, boolean transposed) {
    long[] shape() {
      long[] shape = variable.shape();
      return transposed ? new long[] {shape[1], shape[0]} : shape.clone();
    }
  }

  private final String origin;
  private final ByteBuffer data;
  private final Map<String, Stored> tensors = new TreeMap<>();

  /**
   * @param index content of variables.index
   * @param data content of variables.data-00000-of-00001; not copied
   * @param origin what messages call it
   * @throws FormatException if they are no whole checkpoint, or two variables would have one name
   */
  public TensorFlowBert(byte[] index, byte[] data, String origin) throws FormatException {
    TensorBundle bundle = new TensorBundle(index, data);
    this.origin = origin;
    this.data = bundle.data();
    for (var entry : bundle.variables().entrySet()) {
      boolean kernel = entry.getKey().endsWith("/kernel") && entry.getValue().shape().length == 2;
      String name = name(entry.getKey());
      if (tensors.put(name, new Stored(entry.getValue(), kernel)) != null) {
        throw new FormatException("two variables of %s would be named %s".formatted(origin, name));
      }
    }
  }

  private static String name(String variable) {
    for (String root : new String[] {"bert/", "cls/"}) {
      int start = ("/" + variable).indexOf("/" + root);
      if (start >= 0) {
        variable = variable.substring(start);
        break;
      }
    }
    return variable
        .replaceAll("/layer_(\\d+)/", "/layer/$1/")
        .replaceAll("_embeddings$", "_embeddings/weight")
        .replaceAll("/(kernel|gamma)$", "/weight")
        .replaceAll("/(beta|output_bias)$", "/bias")
        .replace('/', '.');
  }

  @Override
  public String origin() {
    return origin;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(tensors.keySet());
  }

  @Override
  public long[] shape(String name) {
    return stored(name).shape();
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) {
    Stored stored = stored(name);
    long[] shape = stored.shape();
    long total = LongStream.of(shape).reduce(1, Math::multiplyExact);
    int count = target.remaining() / Float.BYTES;
    if (first < 0 || first > total - count) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on".formatted(name, total, count, first));
    }
    int out = stored.transposed ? (int) shape[0] : 1;
    int in = stored.transposed ? (int) shape[1] : 1;
    for (int k = (int) first; k < first + count; k++) {
      int place = stored.transposed ? k % in * out + k / in : k;
      target.putFloat(data.getFloat(stored.variable.offset() + place * Float.BYTES));
    }
  }

  private Stored stored(String name) {
    Stored stored = tensors.get(name);
    if (stored == null) {
      throw new NoSuchElementException(
          "%s has no tensor %s among its %d".formatted(origin, name, tensors.size()));
    }
    return stored;
  }

  /** Nothing is open. */
  @Override
  public void close() {}
}
