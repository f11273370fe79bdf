package org.prunepeft.generate;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.List;
import java.util.stream.Stream;
import org.prunepeft.data.chat.Chat;

/**
 * How a language model goes on with a text, in the names of Hugging Face's generation_config.json.
 *
 * @param maxNewTokens the most tokens that are written, 1 or more; no more than the model has
 *     positions
 * @param temperature that logits are divided by before a token is drawn; 0: the most probable token
 *     is taken, and nothing is drawn
 * @param topK of how many of the most probable tokens one is drawn; 0: of all
 * @param topP the share of probability, in (0, 1], that those together have at least of which one
 *     is drawn, the most probable first; 1: all
 * @param stop texts at which it ends; they are not part of what is written. One that begins with a
 *     special token of the model's ends it at that token
 * @param addSpecialTokens whether the tokenizer adds the token that begins a text; false where a
 *     chat template has written it
 * @param seed of the draws. A prompt's draws depend on it and on the prompt's place among those
 *     that are given
 */
@RecordBuilder
public record GenerationSettings(
    int maxNewTokens,
    double temperature,
    int topK,
    double topP,
    List<String> stop,
    boolean addSpecialTokens,
    long seed)
    implements GenerationSettingsBuilder.With {
  /** The most probable tokens, 128 at most. */
  public static final GenerationSettings DEFAULT =
      GenerationSettingsBuilder.builder()
          .maxNewTokens(128)
          .topP(1)
          .stop(List.of())
          .addSpecialTokens(true)
          .build();

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is out of its range
   */
  public GenerationSettings {
    stop = stop == null ? List.of() : List.copyOf(stop);
    if (maxNewTokens < 1) {
      throw new IllegalArgumentException("max new tokens must be at least 1, got " + maxNewTokens);
    }
    if (!(temperature >= 0 && Double.isFinite(temperature))) {
      throw new IllegalArgumentException(
          "temperature must be 0 or more, got %s; 0 takes the most probable token"
              .formatted(temperature));
    }
    if (topK < 0) {
      throw new IllegalArgumentException("top-k must be 0, for all, or more, got " + topK);
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new IllegalArgumentException("top-p must be in (0, 1], got " + topP);
    }
    if (stop.stream().anyMatch(String::isEmpty)) {
      throw new IllegalArgumentException("a text at which generation stops must not be empty");
    }
  }

  /**
   * {@return the same for answers in a conversation: they also end where by its format a turn ends,
   * and special tokens are added where the format has no template that writes them}
   *
   * @param chat writes it
   */
  public GenerationSettings forAnswers(Chat chat) {
    return with()
        .stop(Stream.concat(stop.stream(), chat.answerEnds().stream()).distinct().toList())
        .addSpecialTokens(chat.format().plain())
        .build();
  }

  /** {@return a builder that begins with the defaults} */
  public static GenerationSettingsBuilder builder() {
    return GenerationSettingsBuilder.builder(DEFAULT);
  }
}
