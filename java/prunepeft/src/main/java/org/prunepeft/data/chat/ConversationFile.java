package org.prunepeft.data.chat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Place;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.TableFormat;

/** Rows of conversations, known by their columns. */
public final class ConversationFile {
  private static final String TOOLS = "tools";

  /** How rows are laid out. */
  private enum Dialect {
    /** OpenAI's: role and content. */
    MESSAGES("messages"),
    /** ShareGPT's: from and value; some have role and content under this name. */
    CONVERSATIONS("conversations"),
    /** Two texts, or two lists of messages. */
    COMPLETION("prompt", "completion");

    private final List<String> columns;

    Dialect(String... columns) {
      this.columns = List.of(columns);
    }

    static Optional<Dialect> of(List<String> columns) {
      return Stream.of(values()).filter(one -> columns.containsAll(one.columns)).findFirst();
    }
  }

  private final Chat chat;
  private final Dialect dialect;

  /** Whether values are cells, which have lists as texts. */
  private final boolean cells;

  private ConversationFile(Path file, Dialect dialect, Chat chat) {
    this.dialect = dialect;
    this.chat = chat;
    cells = hasCells(file);
  }

  private static boolean hasCells(Path file) {
    return TableFormat.of(file).filter(TableFormat::isDelimited).isPresent();
  }

  /**
   * {@return whether rows with these columns are conversations} They have messages, or
   * conversations, or prompt and completion.
   *
   * @param columns of a file
   */
  public static boolean suits(List<String> columns) {
    return Dialect.of(columns).isPresent();
  }

  /**
   * {@return whether a file has messages, which a chat template writes} Prompts and completions may
   * be texts; the first row tells.
   *
   * @param file whose name gives its format
   * @throws DataException if it can't be read or is damaged
   */
  public static boolean hasMessages(Path file) {
    Dialect dialect = Dialect.of(ExampleFile.columns(file)).orElse(null);
    return dialect != null
        && (dialect != Dialect.COMPLETION
            || ExampleFile.first(file, dialect.columns)
                .map(row -> list(row.get(0), hasCells(file)))
                .filter(JsonNode::isArray)
                .isPresent());
  }

  /** A list of messages, also one that a cell has in JSON; else what is given. */
  private static JsonNode list(JsonNode value, boolean cell) {
    return cell ? Messages.cell(value).orElse(value) : value;
  }

  /**
   * {@return the texts of a file's conversations, 1 or more} A conversation is one, or one for each
   * of the assistant's turns, one after the other and with the same place: where the template
   * writes an assistant turn differently when more messages follow.
   *
   * @param file whose name gives its format and whose columns {@link #suits suit}
   * @param format by which conversations are written; prompts and completions that are texts are
   *     taken as they are
   * @throws DataException if the file can't be read or is damaged, or a row is no conversation or
   *     can't be written; names line and member
   */
  public static List<Example> read(Path file, ChatFormat format) {
    List<String> there = ExampleFile.columns(file);
    Dialect dialect =
        Dialect.of(there)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "%s has the columns %s; conversations are in messages, in conversations, or in prompt and completion"
                            .formatted(file, there)));
    List<String> columns = new ArrayList<>(dialect.columns);
    // Also where the first row has none.
    columns.add(TOOLS);
    ConversationFile reader = new ConversationFile(file, dialect, new Chat(format));
    List<List<Example>> rows =
        ExampleFile.values(
            file,
            columns,
            Set.of(TOOLS),
            (place, values) ->
                reader.texts(place, values).stream()
                    .map(text -> Example.of(text).at(place))
                    .toList());
    return rows.stream().flatMap(List::stream).toList();
  }

  private List<TrainingText> texts(Place place, List<JsonNode> values) {
    int count = dialect.columns.size();
    Object tools = Messages.plain(place, TOOLS, values.get(count));
    if (dialect != Dialect.COMPLETION) {
      return chat.texts(place, new Conversation(messages(place, 0, values.get(0)), 0, tools));
    }
    JsonNode prompt = list(values.get(0), cells);
    JsonNode completion = list(values.get(1), cells);
    if (prompt.isArray() && completion.isArray()) {
      List<Map<String, Object>> all = messages(place, 0, prompt);
      int learntFrom = all.size();
      all.addAll(messages(place, 1, completion));
      return chat.texts(place, new Conversation(all, learntFrom, tools));
    }
    if (!prompt.isValueNode()
        || !completion.isValueNode()
        || prompt.isNull()
        || completion.isNull()) {
      throw new DataException(
          "%s: 'prompt' and 'completion' must both be texts, or both lists of messages%s"
              .formatted(place, cells ? "; in JSON Lines a text may look like such a list" : ""));
    }
    return List.of(TrainingText.of(prompt.asText(), completion.asText()));
  }

  private List<Map<String, Object>> messages(Place place, int column, JsonNode value) {
    return Messages.of(place, dialect.columns.get(column), value, dialect == Dialect.CONVERSATIONS);
  }
}
