package org.prunepeft.model;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.prunepeft.text.Required;

/**
 * What a decoder's shape has beside an encoder's, in Hugging Face's names (config.json).
 *
 * @param keyValueHeads num_key_value_heads, which divides num_attention_heads
 * @param headSize head_dim, whatever the hidden size
 * @param rope positions of query and key
 * @param localRope the same of the layers with a window; null: as all others
 * @param rotated by layer, whether query and key know their positions; empty: all do
 * @param windows by layer, how many keys a query sees, its own among them; 0: all before it. Empty:
 *     no layer has a window
 * @param attentionScale of the products of query and key
 * @param attentionCap soft cap of attention's scores, cap · tanh(score / cap); 0: none
 * @param logitCap soft cap of the logits; 0: none
 * @param embeddingScale of the word embeddings
 * @param attentionBias whether query, key and value have a bias
 * @param attentionOutputBias whether the projection behind the heads has one
 * @param feedForwardBias whether the feed-forward block's projections have one
 * @param queryKeyNorms whether each head of query and key is normalised, before it is rotated
 * @param postNorms whether a block's output is normalised too, before it is added
 * @param unitOffsetNorms whether normalisations multiply by 1 + weight
 * @param tied whether the embeddings are the output weight too
 * @param endTokens eos_token_id of config.json, and behind it that of generation_config.json: the
 *     ids that end a text, of which the first is put behind those that are learnt; may be empty
 * @param mostTokens of a text, where that is fewer than the rotation allows; 0: as it allows
 */
@RecordBuilder
public record DecoderConfig(
    int keyValueHeads,
    int headSize,
    Rope rope,
    Rope localRope,
    List<Boolean> rotated,
    List<Integer> windows,
    double attentionScale,
    double attentionCap,
    double logitCap,
    double embeddingScale,
    boolean attentionBias,
    boolean attentionOutputBias,
    boolean feedForwardBias,
    boolean queryKeyNorms,
    boolean postNorms,
    boolean unitOffsetNorms,
    boolean tied,
    List<Integer> endTokens,
    int mostTokens)
    implements DecoderConfigBuilder.With {
  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public DecoderConfig {
    Required.present("the rotary embedding", rope);
    rotated = rotated == null ? List.of() : List.copyOf(rotated);
    windows = windows == null ? List.of() : List.copyOf(windows);
    endTokens = endTokens == null ? List.of() : List.copyOf(endTokens);
    if (keyValueHeads < 1) {
      throw new IllegalArgumentException(
          "num_key_value_heads must be at least 1, got " + keyValueHeads);
    }
    if (headSize < rope.size() || localRope != null && headSize < localRope.size()) {
      throw new IllegalArgumentException(
          "head_dim must be at least the rotated part, %d, got %d"
              .formatted(rope.size(), headSize));
    }
    if (windows.stream().anyMatch(window -> window < 0)) {
      throw new IllegalArgumentException("sliding_window must be at least 1, got " + windows);
    }
    Required.above0("the scale of attention", attentionScale);
    Required.above0("the scale of the embeddings", embeddingScale);
    if (!(attentionCap >= 0 && logitCap >= 0)) {
      throw new IllegalArgumentException(
          "soft caps must be above 0, or 0 for none, got %s and %s"
              .formatted(attentionCap, logitCap));
    }
  }

  /**
   * {@return the same with more ids that end a text, behind those that it has}
   *
   * @param ids may be among those
   */
  DecoderConfig endingToo(List<Integer> ids) {
    Set<Integer> all = new LinkedHashSet<>(endTokens);
    all.addAll(ids);
    return with().endTokens(List.copyOf(all)).build();
  }

  /**
   * {@return how many keys a query of a layer sees, its own among them; 0: all before it}
   *
   * @param layer 0-based
   */
  public int window(int layer) {
    return windows.isEmpty() ? 0 : windows.get(layer);
  }

  /**
   * {@return how a layer's query and key know their positions; null: not at all}
   *
   * @param layer 0-based
   */
  public Rope rope(int layer) {
    if (!rotated.isEmpty() && !rotated.get(layer)) {
      return null;
    }
    return localRope != null && window(layer) > 0 ? localRope : rope;
  }
}
