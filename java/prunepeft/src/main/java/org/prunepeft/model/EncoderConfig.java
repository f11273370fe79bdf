package org.prunepeft.model;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.List;
import org.prunepeft.text.Required;

/**
 * The shape of an encoder or a decoder, in Hugging Face's names (config.json).
 *
 * @param architecture model_type
 * @param layers num_hidden_layers, at most {@value #MOST_LAYERS}
 * @param hidden hidden_size, in an encoder a multiple of heads
 * @param heads num_attention_heads
 * @param intermediate intermediate_size
 * @param vocabulary vocab_size
 * @param positions max_position_embeddings
 * @param types type_vocab_size; 0: no token types
 * @param layerNormEpsilon layer_norm_eps; a decoder's rms_norm_eps
 * @param embedding embedding_size, the width of the embedding tables
 * @param activation hidden_act
 * @param padding pad_token_id; of a decoder that has none, the first eos_token_id or 0
 * @param absolutePositions whether positions are added to the embeddings; position_biased_input
 * @param relative null: attention knows nothing of positions; DeBERTa alone has it
 * @param convolution null: none; DeBERTa-v2 alone has it
 * @param decoder null: an encoder
 */
@RecordBuilder
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
    int padding,
    boolean absolutePositions,
    RelativeAttention relative,
    Convolution convolution,
    DecoderConfig decoder)
    implements EncoderConfigBuilder.With {
  /** Far more than any model has; lists of layers and of their modules are as long. */
  static final int MOST_LAYERS = 10_000;

  /** Far wider than any model is: sums and small multiples of widths have room in an int. */
  private static final int MOST_WIDTH = 10_000_000;

  /** Of relative attention, which has a row for each distance of two tokens. */
  private static final int MOST_RELATIVE_POSITIONS = 1_000_000;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public EncoderConfig {
    Required.present("the architecture", architecture);
    Required.present("the activation", activation);
    requireLayers(layers);
    atLeast("hidden_size", hidden, 1);
    atLeast("num_attention_heads", heads, 1);
    atLeast("intermediate_size", intermediate, 1);
    atMost("hidden_size", hidden, MOST_WIDTH);
    atLeast("vocab_size", vocabulary, 1);
    atLeast("type_vocab_size", types, 0);
    atLeast("embedding_size", embedding, 1);
    atLeast("pad_token_id", padding, 0);
    atLeast("max_position_embeddings", positions, firstPosition(architecture, padding) + 1);
    if (architecture.isDecoder() != (decoder != null)) {
      throw new IllegalArgumentException(
          architecture + (decoder == null ? " needs a decoder's settings" : " is no decoder"));
    }
    if (decoder == null) {
      requireDivisor("num_attention_heads", heads, "hidden_size", hidden);
    } else {
      activation.gate();
      requireDivisor("num_key_value_heads", decoder.keyValueHeads(), "num_attention_heads", heads);
      atMost("num_attention_heads times head_dim", (long) heads * decoder.headSize(), MOST_WIDTH);
      requireEach("sliding windows", decoder.windows(), layers);
      requireEach("settings of rotation", decoder.rotated(), layers);
    }
    requireDeberta(architecture, relative != null, "relative attention");
    if (relative != null) {
      atMost("max_position_embeddings", positions, MOST_RELATIVE_POSITIONS);
    }
    requireDeberta(architecture, convolution != null, "convolution");
    requireDeberta(architecture, decoder == null && !absolutePositions, "input without positions");
    if (embedding != hidden && !architecture.hasEmbeddingSize()) {
      throw new IllegalArgumentException(
          "embedding_size must be hidden_size, %d, for %s, got %d"
              .formatted(hidden, architecture, embedding));
    }
    if (convolution != null && hidden % convolution.groups() != 0) {
      throw new IllegalArgumentException(
          "hidden_size %d is not a multiple of conv_groups, %d"
              .formatted(hidden, convolution.groups()));
    }
    if (!(layerNormEpsilon > 0)) {
      throw new IllegalArgumentException("layer_norm_eps must be above 0, got " + layerNormEpsilon);
    }
  }

  private static void requireDeberta(Architecture architecture, boolean wanted, String what) {
    if (wanted && architecture != Architecture.DEBERTA_V2) {
      throw new IllegalArgumentException(architecture + " has no " + what);
    }
  }

  private static void requireDivisor(String name, int divisor, String of, int value) {
    if (value % divisor != 0) {
      throw new IllegalArgumentException(
          "%s %d is not a multiple of %s, %d".formatted(of, value, name, divisor));
    }
  }

  private static void requireEach(String what, List<?> values, int layers) {
    if (!values.isEmpty() && values.size() != layers) {
      throw new IllegalArgumentException(
          "%d layers need as many %s, got %d".formatted(layers, what, values.size()));
    }
  }

  /**
   * Checks the number of layers, before anything is made of each.
   *
   * @throws IllegalArgumentException if it is out of its range
   */
  static void requireLayers(int layers) {
    atLeast("num_hidden_layers", layers, 1);
    atMost("num_hidden_layers", layers, MOST_LAYERS);
  }

  private static void atMost(String name, long value, int most) {
    if (value > most) {
      throw new IllegalArgumentException(
          "%s must be at most %d, got %d".formatted(name, most, value));
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(
          "%s must be at least %d, got %d".formatted(name, least, value));
    }
  }

  /**
   * {@return a BERT with exact GELU, two token types and layer_norm_eps 1e-12; others begin with
   * it: {@code bert(...).with().architecture(...).build()}}
   *
   * @param layers num_hidden_layers
   * @param hidden hidden_size, a multiple of heads
   * @param heads num_attention_heads
   * @param intermediate intermediate_size
   * @param vocabulary vocab_size
   * @param positions max_position_embeddings
   */
  public static EncoderConfig bert(
      int layers, int hidden, int heads, int intermediate, int vocabulary, int positions) {
    return EncoderConfigBuilder.builder()
        .architecture(Architecture.BERT)
        .layers(layers)
        .hidden(hidden)
        .heads(heads)
        .intermediate(intermediate)
        .vocabulary(vocabulary)
        .positions(positions)
        .types(2)
        .layerNormEpsilon(1e-12)
        .embedding(hidden)
        .activation(HiddenActivation.GELU)
        .absolutePositions(true)
        .build();
  }

  /**
   * {@return whether a model computes what another does: they are the same but for where texts end,
   * and how long they may be}
   */
  public boolean computesAs(EncoderConfig other) {
    return withoutLimits().equals(other.withoutLimits());
  }

  private EncoderConfig withoutLimits() {
    return decoder == null
        ? this
        : with().decoder(decoder.with().endTokens(List.of()).mostTokens(0).build()).build();
  }

  /** {@return the longest sequence, special tokens included} */
  public int maxTokens() {
    if (decoder != null) {
      int rotated = decoder.rope().maxTokens(positions);
      return decoder.mostTokens() == 0 ? rotated : Math.min(rotated, decoder.mostTokens());
    }
    return positions - firstPosition(architecture, padding);
  }

  /**
   * Refuses a batch that the model cannot take.
   *
   * @throws IllegalArgumentException if it is longer than the model's positions, or has ids beyond
   *     its vocabulary
   */
  void require(EncoderInput input) {
    if (input.length() > maxTokens()) {
      throw new IllegalArgumentException(
          "a sequence of " + input.length() + " tokens exceeds the model's " + maxTokens());
    }
    if (input.largestId() >= vocabulary()) {
      throw new IllegalArgumentException(
          "token id %d exceeds the model's vocabulary, vocab_size %d; the tokenizer is another model's"
              .formatted(input.largestId(), vocabulary()));
    }
  }

  /** The position of a sequence's first token: RoBERTa counts from behind the padding's id. */
  private static int firstPosition(Architecture architecture, int padding) {
    return architecture.positionsBehindPadding() ? padding + 1 : 0;
  }

  /**
   * {@return a projection's name in the checkpoint, without the encoder's prefix; adapter files use
   * it}
   *
   * @param layer 0-based
   * @param projection of any layer: their shapes are the same
   */
  public String path(int layer, Projection projection) {
    return architecture.path(layer, projection);
  }

  /**
   * {@return a projection's rows: the width of its output}
   *
   * @param projection of any layer: their shapes are the same
   */
  public int outputs(Projection projection) {
    return switch (projection) {
      case QUERY -> decoder == null ? hidden : heads * decoder.headSize();
      case KEY, VALUE -> decoder == null ? hidden : decoder.keyValueHeads() * decoder.headSize();
      case INTERMEDIATE, GATE -> intermediate;
      case ATTENTION_OUTPUT, OUTPUT -> hidden;
    };
  }

  /**
   * {@return a projection's columns: the width of its input}
   *
   * @param projection of any layer: their shapes are the same
   */
  public int inputs(Projection projection) {
    return switch (projection) {
      case QUERY, KEY, VALUE, INTERMEDIATE, GATE -> hidden;
      case ATTENTION_OUTPUT -> decoder == null ? hidden : heads * decoder.headSize();
      case OUTPUT -> intermediate;
    };
  }

  /**
   * {@return whether a projection has a bias}
   *
   * @param projection of any layer: they are alike
   */
  public boolean hasBias(Projection projection) {
    if (decoder == null) {
      return true;
    }
    return switch (projection) {
      case QUERY, KEY, VALUE -> decoder.attentionBias();
      case ATTENTION_OUTPUT -> decoder.attentionOutputBias();
      case INTERMEDIATE, OUTPUT, GATE -> decoder.feedForwardBias();
    };
  }

  /** {@return the linears of a layer} */
  public List<Projection> projections() {
    return architecture.projections();
  }
}
