package org.prunepeft.data;

import java.util.List;
import java.util.stream.Collectors;
import org.prunepeft.text.Required;

/**
 * A text that a language model learns to continue. It is encoded as a whole; a token counts in the
 * loss if the character at which it begins lies in a trained span.
 *
 * @param spans the text's parts in their order, one or more
 * @param addSpecialTokens whether the tokenizer adds its special tokens, such as the one that
 *     begins a text; false where a chat template has written them
 * @param appendEnd whether the token that ends a text follows, unless the text was cut; false where
 *     a chat template has written it
 */
public record TrainingText(List<Span> spans, boolean addSpecialTokens, boolean appendEnd) {
  /**
   * A part of a text.
   *
   * @param text may be empty
   * @param trained whether its tokens count in the loss
   */
  public record Span(String text, boolean trained) {
    /**
     * Checks the text.
     *
     * @throws IllegalArgumentException if it is null
     */
    public Span {
      Required.present("a span's text", text);
    }
  }

  /**
   * Copies the list and checks it.
   *
   * @throws IllegalArgumentException if there is no span
   */
  public TrainingText {
    spans = List.copyOf(spans);
    if (spans.isEmpty()) {
      throw new IllegalArgumentException("a training text needs at least 1 span, got none");
    }
  }

  /**
   * {@return a plain text, all of which contributes to the loss, with special tokens and its end}
   *
   * @param text of any length
   */
  public static TrainingText of(String text) {
    return new TrainingText(List.of(new Span(text, true)), true, true);
  }

  /**
   * {@return a prompt with its completion, which alone contributes to the loss, with special tokens
   * and its end}
   *
   * @param prompt what comes before, without a space added
   * @param completion what contributes to the loss
   */
  public static TrainingText of(String prompt, String completion) {
    return new TrainingText(
        List.of(new Span(prompt, false), new Span(completion, true)), true, true);
  }

  /** {@return all spans as one text} */
  public String text() {
    return spans.stream().map(Span::text).collect(Collectors.joining());
  }

  /** {@return what comes before {@link #answer}} */
  public String prompt() {
    return spans.subList(0, lastTrained()).stream().map(Span::text).collect(Collectors.joining());
  }

  /** {@return the last span that contributes to the loss; empty if there is none} */
  public String answer() {
    int last = lastTrained();
    return last == spans.size() ? "" : spans.get(last).text();
  }

  /** The number of spans where none is. */
  private int lastTrained() {
    for (int i = spans.size() - 1; i >= 0; i--) {
      if (spans.get(i).trained()) {
        return i;
      }
    }
    return spans.size();
  }

  /** {@return whether a text that ends here would be learnt to end: whether its last span is} */
  public boolean endTrained() {
    return spans.get(spans.size() - 1).trained();
  }
}
