package org.prunepeft.data.chat;

import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;
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
   * {@return what is learnt of a conversation: one text, or one for each of the assistant's turns,
   * with the messages up to it, where the template writes a turn otherwise once more follows}
   *
   * @param place of its row, for errors
   * @throws DataException if the template refuses it, or the assistant's part of a text cannot be
   *     determined
   */
  List<TrainingText> texts(Place place, Conversation conversation) {
    Rendering rendering = render(place, conversation, false);
    String text = rendering.text();
    if (!format.assistantOnly()) {
      return List.of(text(text, List.of(new Range(0, text.length()))));
    }
    List<Integer> turns = conversation.assistantTurns();
    List<Integer> learnt = turns.stream().filter(i -> i >= conversation.learntFrom()).toList();
    if (learnt.isEmpty()) {
      throw new DataException(
          "%s: the assistant says nothing, so there is nothing to learn".formatted(place));
    }
    List<Range> generated = rendering.generated();
    if (!generated.isEmpty() && learnt.size() == turns.size()) {
      return List.of(text(text, generated));
    }
    if (generated.size() == turns.size()) {
      return List.of(text(text, generated.subList(turns.size() - learnt.size(), generated.size())));
    }
    List<Turn> prefixes = learnt.stream().map(i -> turn(place, conversation, i, text)).toList();
    return prefixes.stream().allMatch(turn -> text.startsWith(turn.text))
        ? List.of(text(text, prefixes.stream().map(Turn::range).toList()))
        : prefixes.stream().map(turn -> text(turn.text, List.of(turn.range()))).toList();
  }

  /**
   * The text up to the end of a turn of the assistant's.
   *
   * @param from where the turn begins
   */
  private record Turn(String text, int from) {
    Range range() {
      return new Range(from, text.length());
    }
  }

  /**
   * A turn goes from where the text before it ends, which asks the assistant to go on, to where the
   * text with it ends.
   */
  private Turn turn(Place place, Conversation conversation, int i, String whole) {
    String before = i == 0 ? "" : render(place, conversation.first(i), true).text();
    boolean last = i == conversation.messages().size() - 1;
    String after = last ? whole : render(place, conversation.first(i + 1), false).text();
    if (!after.startsWith(before)) {
      throw new DataException(
          "%s: the chat template does not write messages[%d] behind the text by which it asks for it, so its part of the text cannot be determined; give a template that marks it by {%% generation %%} (--chat-template), or learn everything (--assistant-only-loss false)"
              .formatted(place, i));
    }
    return new Turn(after, before.length());
  }

  private TrainingText text(String text, List<Range> learnt) {
    return new TrainingText(spans(text, learnt), format.plain(), format.plain());
  }

  private Rendering render(Object place, Conversation conversation, boolean goesOn) {
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
