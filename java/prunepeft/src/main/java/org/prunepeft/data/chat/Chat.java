package org.prunepeft.data.chat;

import java.nio.CharBuffer;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.template.Rendering;
import org.prunepeft.template.Rendering.Range;
import org.prunepeft.template.Template;
import org.prunepeft.template.TemplateException;
import org.prunepeft.text.Required;

/** Writes conversations by a {@link ChatFormat}. Threads may share it. */
public final class Chat {
  /**
   * Turns of the assistant's in a conversation times characters of its text, at most: the text up
   * to each turn is written, to see where it begins.
   */
  private static final long MOST = 100_000_000;

  /** What {@link #answerEnds} has the assistant say; no template changes a word. */
  private static final String SAID = "answer-1f";

  private final ChatFormat format;

  private final Template template;
  private final LocalDateTime now;

  /** Null: it is parsed when the first conversation with tools comes. */
  private volatile Template toolTemplate;

  /**
   * Parses a format's template.
   *
   * @throws DataException if it is not understood; names its line
   */
  public Chat(ChatFormat format) {
    this.format = format;
    template =
        parsed("the model's chat template", format.plain() ? ChatFormat.PLAIN : format.template());
    LocalDate day = format.date() == null ? LocalDate.now() : LocalDate.parse(format.date());
    now = day.atStartOfDay();
  }

  /** {@return how it writes them} */
  public ChatFormat format() {
    return format;
  }

  /**
   * A template.
   *
   * @param name what it is called in an error
   */
  static Template parsed(String name, String source) {
    try {
      return Template.parse(source);
    } catch (TemplateException e) {
      throw new DataException("%s is not understood: %s".formatted(name, e.getMessage()), e);
    }
  }

  /**
   * A message.
   *
   * @param role system, user, assistant or tool, or another that the template knows
   * @param content what is said
   */
  public record Message(String role, String content) {
    /**
     * @throws IllegalArgumentException if one is null
     */
    public Message {
      Required.present("a message's role", role);
      Required.present("a message's content", content);
    }

    /** {@return an instruction ahead of a conversation} */
    public static Message system(String content) {
      return new Message(Role.SYSTEM.key(), content);
    }

    /** {@return a question} */
    public static Message user(String content) {
      return new Message(Role.USER.key(), content);
    }

    /** {@return an answer} */
    public static Message assistant(String content) {
      return new Message(Role.ASSISTANT.key(), content);
    }
  }

  /**
   * {@return a conversation up to where the assistant goes on} Where the format is not {@link
   * ChatFormat#plain}, special tokens are in it, and a tokenizer must add none.
   *
   * @param messages one or more
   * @throws IllegalArgumentException if there is none
   * @throws DataException if the template refuses them or can't write them
   */
  public String prompt(List<Message> messages) {
    if (messages.isEmpty()) {
      throw new IllegalArgumentException("a conversation needs a message to answer, got none");
    }
    List<Map<String, Object>> plain = messages.stream().map(Chat::plain).toList();
    return render("the conversation", new Conversation(plain, 0, null), true).text();
  }

  /**
   * {@return texts at which an answer ends: without a template the headings of turns, that of
   * another speaker or one more of its own; else what the template writes behind an answer, such as
   * {@code <|im_end|>}, and none where that is nothing or the template refuses a question and its
   * answer}
   */
  public List<String> answerEnds() {
    if (format.plain()) {
      return Stream.of(Role.values()).map(Role::heading).toList();
    }
    List<Map<String, Object>> turn =
        Stream.of(Message.user(SAID), Message.assistant(SAID)).map(Chat::plain).toList();
    String text;
    try {
      text = render("an answer", new Conversation(turn, 0, null), false).text();
    } catch (DataException e) {
      return List.of();
    }
    int at = text.lastIndexOf(SAID);
    String end = at < 0 ? "" : text.substring(at + SAID.length()).stripTrailing();
    return end.isEmpty() ? List.of() : List.of(end);
  }

  private static Map<String, Object> plain(Message message) {
    Map<String, Object> plain = new LinkedHashMap<>();
    plain.put("role", message.role);
    plain.put("content", message.content);
    return plain;
  }

  /**
   * {@return what is learnt of a conversation: one text, or one for each of the assistant's turns,
   * with the messages up to it, where the template writes an assistant turn differently when more
   * messages follow}
   *
   * @param row where it is, for errors
   * @throws DataException if the template refuses it, or the assistant's part of a text cannot be
   *     determined
   */
  List<TrainingText> texts(Place row, Conversation conversation) {
    String place = row.toString();
    Rendering rendering = render(place, conversation, false);
    String text = rendering.text();
    if (!format.assistantOnly()) {
      return List.of(text(text, List.of(new Range(0, text.length()))));
    }
    List<Integer> learnt = conversation.learntTurns();
    if (learnt.isEmpty()) {
      throw new DataException(
          "%s: the assistant says nothing, so there is nothing to learn".formatted(place));
    }
    if ((long) learnt.size() * text.length() > MOST) {
      throw new DataException(
          String.format(
              Locale.ROOT,
              "%s: %,d turns of the assistant in a text of %,d characters take too long to tell apart; divide the conversation, or learn everything (--assistant-only-loss false)",
              place,
              learnt.size(),
              text.length()));
    }
    List<Range> marked = marked(place, conversation, rendering);
    if (!marked.isEmpty()) {
      return List.of(text(text, marked));
    }
    List<Turn> prefixes = learnt.stream().map(i -> turn(place, conversation, i, text)).toList();
    return prefixes.stream().allMatch(turn -> text.startsWith(turn.text))
        ? List.of(text(text, prefixes.stream().map(Turn::range).toList()))
        : prefixes.stream().map(turn -> text(turn.text, List.of(turn.range()))).toList();
  }

  /**
   * What the template marks of the turns to learn; empty where one of them has no mark, or where
   * the marks ahead of the first cannot be told from its own.
   */
  private List<Range> marked(String place, Conversation conversation, Rendering whole) {
    List<Range> marks = whole.generated();
    if (marks.isEmpty()) {
      return marks;
    }
    List<Integer> learnt = conversation.learntTurns();
    if (learnt.size() < conversation.assistantTurns().size()) {
      String before = render(place, conversation.first(learnt.get(0)), true).text();
      if (!whole.text().startsWith(before)) {
        return List.of();
      }
      marks = marks.stream().filter(mark -> mark.from() >= before.length()).toList();
    }
    int end = whole.text().length();
    for (int turn = learnt.size() - 1; turn >= 0; turn--) {
      int begin = begin(place, conversation, learnt.get(turn), whole.text());
      int next = end;
      if (marks.stream().noneMatch(mark -> mark.to() > begin && mark.from() < next)) {
        return List.of();
      }
      end = begin;
    }
    return marks;
  }

  /** Where a message begins: as far as the text is that of the messages before it. */
  private int begin(String place, Conversation conversation, int message, String whole) {
    String before = message == 0 ? "" : render(place, conversation.first(message), false).text();
    int mismatch = CharBuffer.wrap(before).mismatch(CharBuffer.wrap(whole));
    return mismatch < 0 ? whole.length() : mismatch;
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
  private Turn turn(String place, Conversation conversation, int i, String whole) {
    String before = i == 0 ? "" : render(place, conversation.first(i), true).text();
    boolean last = i == conversation.messages().size() - 1;
    String after = last ? whole : render(place, conversation.first(i + 1), false).text();
    if (!after.startsWith(before)) {
      throw new DataException(
          String.format(
              Locale.ROOT,
              "%s: with add_generation_prompt=True the text before messages[%d] is not how the text with it begins, so its part of the text cannot be determined; give a template that begins so, or that marks every turn by {%% generation %%} (--chat-template), or learn everything (--assistant-only-loss false)",
              place,
              i));
    }
    return new Turn(after, before.length());
  }

  private TrainingText text(String text, List<Range> learnt) {
    return new TrainingText(spans(text, learnt), format.plain(), format.plain());
  }

  private Rendering render(String place, Conversation conversation, boolean goesOn) {
    Map<String, Object> variables = new HashMap<>(format.specialTokens());
    variables.put("messages", conversation.messages());
    variables.put("tools", conversation.tools());
    variables.put("documents", null);
    variables.put("add_generation_prompt", goesOn);
    try {
      Template own = conversation.tools() == null ? template : toolTemplate(place);
      return own.render(variables, now);
    } catch (TemplateException e) {
      throw new DataException(
          "%s: the model's chat template can't write the conversation: %s"
              .formatted(place, e.getMessage()),
          e);
    }
  }

  /** Of many conversations none may have tools, so that it is not asked whether it parses. */
  private Template toolTemplate(String place) {
    if (format.toolTemplate() == null) {
      return template;
    }
    if (toolTemplate == null) {
      toolTemplate = parsed(place + ": the model's chat template tool_use", format.toolTemplate());
    }
    return toolTemplate;
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
