package org.prunepeft.checkpoint;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
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
public final class TensorFlowBert extends StoredCheckpoint {
  /**
   * @param index content of variables.index
   * @param data content of variables.data-00000-of-00001; not copied
   * @param origin what messages call it
   * @throws FormatException if they are no whole checkpoint, or two variables would have one name
   */
  public TensorFlowBert(byte[] index, byte[] data, String origin) throws FormatException {
    super(origin, read(new TensorBundle(index, data), origin), List.of());
  }

  private static Map<String, StoredFloats> read(TensorBundle bundle, String origin)
      throws FormatException {
    Map<String, StoredFloats> tensors = new TreeMap<>();
    ByteBuffer values = bundle.data();
    for (var entry : bundle.variables().entrySet()) {
      var variable = entry.getValue();
      boolean kernel = entry.getKey().endsWith("/kernel") && variable.shape().length == 2;
      String name = name(entry.getKey());
      var stored = new StoredFloats(variable.shape(), values, variable.offset(), kernel);
      if (tensors.put(name, stored) != null) {
        throw new FormatException("two variables of %s would be named %s".formatted(origin, name));
      }
    }
    return tensors;
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
  String absence(String name) {
    return "%s has no tensor %s among its %d".formatted(origin(), name, names().size());
  }
}
