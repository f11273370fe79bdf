package org.prunepeft.data.chat;

import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.DataException;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.template.Rendering;
import org.prunepeft.template.Rendering.Range;
import org.prunepeft.template.Template;
import org.prunepeft.template.TemplateException;

/** Writes conversations by a {@link ChatFormat}. Threads may share it. */
public final class Chat {
  private final ChatFormat format;
  private final Template template;
  private final Template toolTemplate;
  private final LocalDateTime now;

  /**
   * Parses a format's templates.
   *
   * @throws DataException if one is not understood; names its line
   */
  public Chat(ChatFormat format) {
    this.format = format;
    template = parsed(format.plain() ? ChatFormat.PLAIN : format.template());
    toolTemplate = format.toolTemplate() == null ? template : parsed(format.toolTemplate());
    LocalDate day = format.date() == null ? LocalDate.now() : LocalDate.parse(format.date());
    now = day.atStartOfDay();
  }

  private static Template parsed(String source) {
    try {
      return Template.parse(source);
    } catch (TemplateException e) {
      throw new DataException("the model's chat template is not understood: " + e.getMessage(), e);
    }
  }

  /**
   * A message.
   *
   * @param role system, user, assistant or tool
   * @param content what is said
   */
  public record Message(String role, String content) {}

  /**
   * {@return a conversation up to where the assistant goes on} Where the format is not {@link
   * ChatFormat#plain}, special tokens are in it, and a tokenizer must add none.
   *
   * @param messages one or more
   * @throws DataException if the template refuses them or can't write them
   */
  public String prompt(List<Message> messages) {
    List<Map<String, Object>> plain = new ArrayList<>();
    for (Message message : messages) {
      plain.add(Map.of("role", message.role, "content", message.content));
    }
    return render("the conversation", new Conversation(plain, 0, null), true).text();
  }

  /**
   * {@return what is learnt of a conversation}
   *
   * @param place of its row, for errors
   * @throws DataException if the template refuses it, or the assistant's part of the text cannot be
   *     determined
   */
  TrainingText text(String place, Conversation conversation) {
    Rendering rendering = render(place, conversation, false);
    List<Range> learnt =
        format.assistantOnly()
            ? assistant(place, conversation, rendering)
            : List.of(new Range(0, rendering.text().length()));
    return new TrainingText(spans(rendering.text(), learnt), format.plain(), format.plain());
  }

  private Rendering render(String place, Conversation conversation, boolean goesOn) {
    Map<String, Object> variables = new HashMap<>(format.specialTokens());
    variables.put("messages", conversation.messages());
    variables.put("tools", conversation.tools());
    variables.put("documents", null);
    variables.put("add_generation_prompt", goesOn);
    try {
      return (conversation.tools() == null ? template : toolTemplate).render(variables, now);
    } catch (TemplateException e) {
      throw new DataException(
          "%s: the model's chat template can't write the conversation: %s"
              .formatted(place, e.getMessage()),
          e);
    }
  }

  /** The parts of a text that the assistant wrote, of those messages that are learnt. */
  private List<Range> assistant(String place, Conversation conversation, Rendering rendering) {
    int turns = 0;
    int before = 0;
    for (int i = 0; i < conversation.messages().size(); i++) {
      turns += conversation.isAssistant(i) ? 1 : 0;
      before += conversation.isAssistant(i) && i < conversation.learntFrom() ? 1 : 0;
    }
    if (turns == before) {
      throw new DataException(
          "%s: the assistant says nothing, so there is nothing to learn".formatted(place));
    }
    List<Range> generated = rendering.generated();
    return generated.size() == turns
        ? generated.subList(before, turns)
        : byPrefixes(place, conversation, rendering.text());
  }

  /**
   * A turn goes from where the text before it ends, which asks the assistant to go on, to where the
   * text with it ends; if each of these is how the whole text begins.
   */
  private List<Range> byPrefixes(String place, Conversation conversation, String text) {
    List<Range> ranges = new ArrayList<>();
    int size = conversation.messages().size();
    for (int i = conversation.learntFrom(); i < size; i++) {
      if (!conversation.isAssistant(i)) {
        continue;
      }
      String before = i == 0 ? "" : render(place, conversation.first(i), true).text();
      String after = i == size - 1 ? text : render(place, conversation.first(i + 1), false).text();
      if (!text.startsWith(before) || !text.startsWith(after) || !after.startsWith(before)) {
        throw new DataException(
            "%s: the chat template writes messages[%d] otherwise where more follows, so its part of the text cannot be determined; give a template that marks it by {%% generation %%} (--chat-template), or learn everything (--assistant-only-loss false)"
                .formatted(place, i));
      }
      ranges.add(new Range(before.length(), after.length()));
    }
    return ranges;
  }

  private static List<Span> spans(String text, List<Range> learnt) {
    List<Span> spans = new ArrayList<>();
    int at = 0;
    for (Range range : learnt) {
      if (range.from() > at) {
        spans.add(new Span(text.substring(at, range.from()), false));
      }
      spans.add(new Span(text.substring(range.from(), range.to()), true));
      at = range.to();
    }
    if (at < text.length()) {
      spans.add(new Span(text.substring(at), false));
    }
    return spans;
  }
}
