package org.prunepeft.model;

/**
 * The shape of an encoder, in Hugging Face's names (config.json).
 *
 * @param architecture model_type
 * @param layers num_hidden_layers
 * @param hidden hidden_size, a multiple of heads
 * @param heads num_attention_heads
 * @param intermediate intermediate_size
 * @param vocabulary vocab_size
 * @param positions max_position_embeddings
 * @param types type_vocab_size; 0: no token types
 * @param layerNormEpsilon layer_norm_eps
 * @param embedding embedding_size, the width of the embedding tables
 * @param activation hidden_act
 * @param padding pad_token_id
 */
public record EncoderConfig(
    Architecture architecture,
    int layers,
    int hidden,
    int heads,
    int intermediate,
    int vocabulary,
    int positions,
    int types,
    double layerNormEpsilon,
    int embedding,
    HiddenActivation activation,
    int padding) {
  public EncoderConfig {
    atLeast("num_hidden_layers", layers, 1);
    atLeast("hidden_size", hidden, 1);
    atLeast("num_attention_heads", heads, 1);
    atLeast("intermediate_size", intermediate, 1);
    atLeast("vocab_size", vocabulary, 1);
    atLeast("type_vocab_size", types, 0);
    atLeast("embedding_size", embedding, 1);
    atLeast("pad_token_id", padding, 0);
    atLeast("max_position_embeddings", positions, firstPosition(architecture, padding) + 1);
    if (hidden % heads != 0) {
      throw new IllegalArgumentException(
          "hidden_size " + hidden + " is not a multiple of num_attention_heads, " + heads);
    }
    if (!(layerNormEpsilon > 0)) {
      throw new IllegalArgumentException("layer_norm_eps must be above 0, got " + layerNormEpsilon);
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(
          "%s must be at least %d, got %d".formatted(name, least, value));
    }
  }

  /** A BERT with exact GELU. */
  public EncoderConfig(
      int layers,
      int hidden,
      int heads,
      int intermediate,
      int vocabulary,
      int positions,
      int types,
      double layerNormEpsilon) {
    this(
        Architecture.BERT,
        layers,
        hidden,
        heads,
        intermediate,
        vocabulary,
        positions,
        types,
        layerNormEpsilon,
        hidden,
        HiddenActivation.GELU,
        0);
  }

  /** The longest sequence, special tokens included. */
  public int maxTokens() {
    return positions - firstPosition(architecture, padding);
  }

  /** The position of a sequence's first token: RoBERTa counts from behind the padding's id. */
  private static int firstPosition(Architecture architecture, int padding) {
    return switch (architecture) {
      case ROBERTA, XLM_ROBERTA -> padding + 1;
      default -> 0;
    };
  }

  /**
   * A projection's name in the checkpoint, without the encoder's prefix; adapter files use it.
   *
   * @param layer 0-based
   */
  public String path(int layer, Projection projection) {
    return architecture.path(layer, projection);
  }

  /** A projection's rows: the width of its output. */
  public int outputs(Projection projection) {
    return projection == Projection.INTERMEDIATE ? intermediate : hidden;
  }

  /** A projection's columns: the width of its input. */
  public int inputs(Projection projection) {
    return projection == Projection.OUTPUT ? intermediate : hidden;
  }
}
