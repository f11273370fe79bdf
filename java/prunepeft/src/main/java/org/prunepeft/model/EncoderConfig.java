package org.prunepeft.model;

/**
 * The shape of a BERT encoder, in Hugging Face's names.
 *
 * @param layers num_hidden_layers
 * @param hidden hidden_size, a multiple of heads
 * @param heads num_attention_heads
 * @param intermediate intermediate_size
 * @param vocabulary vocab_size
 * @param positions max_position_embeddings
 * @param types type_vocab_size
 * @param layerNormEpsilon layer_norm_eps
 */
public record EncoderConfig(
    int layers,
    int hidden,
    int heads,
    int intermediate,
    int vocabulary,
    int positions,
    int types,
    double layerNormEpsilon) {
  public EncoderConfig {
    if (layers < 1
        || hidden < 1
        || heads < 1
        || intermediate < 1
        || vocabulary < 1
        || positions < 1
        || types < 1) {
      throw new IllegalArgumentException("every size of an encoder must be at least 1");
    }
    if (hidden % heads != 0) {
      throw new IllegalArgumentException(
          "hidden size " + hidden + " is not a multiple of the heads, " + heads);
    }
  }
}
