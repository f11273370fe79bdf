package org.prunepeft.data.chat;

import java.nio.file.Path;
import java.time.LocalDate;
import java.time.format.DateTimeParseException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.prunepeft.data.DataException;

/**
 * How conversations become texts. It has all that it takes, so that a run that keeps it needs no
 * file of the model for it.
 *
 * @param template the chat template's text, in Jinja; null: {@link #PLAIN}
 * @param toolTemplate the template for conversations with tools, which is not looked at until there
 *     is one; null: there is no other
 * @param specialTokens by the names that templates know: bos_token, eos_token and so on
 * @param assistantOnly whether the assistant's turns alone contribute to the loss; else everything
 *     does
 * @param date of {@code strftime_now}, as 2026-03-07; null: today
 */
public record ChatFormat(
    String template,
    String toolTemplate,
    Map<String, String> specialTokens,
    boolean assistantOnly,
    String date) {
  /** A model's file that has its chat template alone. */
  public static final String FILE = "chat_template.jinja";

  /** A directory of a model's templates by their names, beside the default one. */
  public static final String ADDITIONAL = "additional_chat_templates";

  /** What of these would be in place of {@link #FILE}. */
  public static final String DEFAULT_FILE = ADDITIONAL + "/default.jinja";

  /** Of these the one for conversations with tools. */
  public static final String TOOL_FILE = ADDITIONAL + "/tool_use.jinja";

  /**
   * What models without a template get: it needs no tokens of its own. The tokenizer's special
   * tokens and its end of a text go around it.
   */
  public static final String PLAIN =
      """
      {% for message in messages %}
      {{ '' if loop.first else '\\n\\n' }}### {{ message.role | capitalize }}:
      {% if message.role == 'assistant' %}
      {% generation %}
      {{- message.content }}{% endgeneration %}
      {% else %}
      {{- message.content }}
      {%- endif %}
      {% endfor %}
      {% if add_generation_prompt %}
      {{ '\\n\\n### Assistant:\\n' }}
      {%- endif %}
      """;

  /** Without a template; the assistant's turns contribute to the loss. */
  public static final ChatFormat DEFAULT = new ChatFormat(null, null, Map.of(), true, null);

  /**
   * Copies the tokens.
   *
   * @throws IllegalArgumentException if the date is none
   */
  public ChatFormat {
    specialTokens = specialTokens == null ? Map.of() : copy(specialTokens);
    if (date != null) {
      try {
        LocalDate.parse(date);
      } catch (DateTimeParseException e) {
        throw new IllegalArgumentException(
            "a date is written as 2026-03-07, got '%s'".formatted(date), e);
      }
    }
  }

  /** Not Map.copyOf, whose time grows with the square of names that have one hash. */
  private static Map<String, String> copy(Map<String, String> tokens) {
    Map<String, String> copy = new LinkedHashMap<>();
    tokens.forEach(
        (name, text) -> copy.put(Objects.requireNonNull(name), Objects.requireNonNull(text)));
    return Collections.unmodifiableMap(copy);
  }

  /**
   * {@return the format of a model, whose assistant's turns contribute to the loss}
   *
   * @param model its directory: chat_template.jinja, or chat_template in tokenizer_config.json, and
   *     those by name in additional_chat_templates; the special tokens in tokenizer_config.json or
   *     special_tokens_map.json
   * @param template a file with another template; null: the model's
   * @throws DataException if a file can't be read or is damaged, or the template is not understood;
   *     of those with names, the default one
   */
  public static ChatFormat of(Path model, Path template) {
    return new TemplateFiles(model).format(template);
  }

  /**
   * {@return the same with these settings}
   *
   * @param onlyAssistant whether the assistant's turns alone contribute to the loss
   * @param day of {@code strftime_now}, as 2026-03-07; null: today
   */
  public ChatFormat with(boolean onlyAssistant, String day) {
    return new ChatFormat(template, toolTemplate, specialTokens, onlyAssistant, day);
  }

  /** {@return whether it is written without a template of its own} */
  public boolean plain() {
    return template == null;
  }
}
