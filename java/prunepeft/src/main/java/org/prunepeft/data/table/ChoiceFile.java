package org.prunepeft.data.table;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.prunepeft.data.Choices;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Place;

/** Questions with answers to choose from, known by their columns. */
public final class ChoiceFile {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

  /** What a row has: the question, the answers and the right one, in this order. */
  private enum ChoiceColumns {
    /** ARC's and CommonsenseQA's. */
    KEY("question", "choices", "answerKey"),
    /** OpenBookQA's. */
    STEM("question_stem", "choices", "answerKey"),
    /** MMLU's, whose questions are asked with the list of their answers. */
    LIST("question", "choices", "answer"),
    /** HellaSwag's, whose contexts go on. */
    ENDINGS("ctx", "endings", "label");

    private final List<String> columns;

    ChoiceColumns(String... columns) {
      this.columns = List.of(columns);
    }

    static Optional<ChoiceColumns> of(List<String> columns) {
      return Stream.of(values()).filter(one -> columns.containsAll(one.columns)).findFirst();
    }
  }

  private final ChoiceColumns layout;

  private ChoiceFile(ChoiceColumns layout) {
    this.layout = layout;
  }

  /**
   * {@return whether rows with these columns are questions with answers to choose from}
   *
   * @param columns of a file
   */
  public static boolean suits(List<String> columns) {
    return ChoiceColumns.of(columns).isPresent();
  }

  /**
   * {@return the questions of a file, 1 or more}
   *
   * @param file whose name gives its format and whose columns {@link #suits suit}
   * @throws DataException if the file can't be read or is damaged, or a row has no question, fewer
   *     than 2 answers or no right one; names line and column
   */
  public static List<Example> read(Path file) {
    List<String> there = ExampleFile.columns(file);
    ChoiceColumns layout =
        ChoiceColumns.of(there)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "%s has the columns %s; questions are in question, choices and answerKey or answer, or in ctx, endings and label"
                            .formatted(file, there)));
    ChoiceFile reader = new ChoiceFile(layout);
    return ExampleFile.values(file, layout.columns, reader::example);
  }

  /**
   * {@return whether a file has questions of which none has a right answer: it is empty or -1}
   *
   * @param file whose name gives its format
   * @throws DataException if the file can't be read or is damaged
   */
  public static boolean isKeptBack(Path file) {
    return ChoiceColumns.of(ExampleFile.columns(file))
        .map(layout -> layout.columns.get(2))
        .filter(
            answer ->
                ExampleFile.values(file, List.of(answer), (place, values) -> values.get(0)).stream()
                    .allMatch(value -> isNoAnswer(key(value))))
        .isPresent();
  }

  private static String key(JsonNode value) {
    return value.isValueNode() && !value.isNull() ? value.asText().strip() : "";
  }

  private static boolean isNoAnswer(String key) {
    return key.isEmpty() || ExampleFile.isKeptBack(key);
  }

  private Example example(Place place, List<JsonNode> values) {
    return Example.of(question(place, values)).at(place);
  }

  private Choices question(Place place, List<JsonNode> values) {
    if (!values.get(0).isTextual() || values.get(0).asText().isBlank()) {
      throw new DataException("%s: '%s' has no text".formatted(place, layout.columns.get(0)));
    }
    String question = values.get(0).asText().strip();
    JsonNode given = list(values.get(1));
    List<String> answers = texts(given.isObject() ? given.path("text") : given);
    if (answers.size() < 2) {
      throw new DataException(
          "%s: '%s' must be a list of 2 texts or more, or have such a list as its text, got %s"
              .formatted(place, layout.columns.get(1), shortened(given)));
    }
    int right = right(place, values.get(2), texts(given.path("label")), answers.size());
    return switch (layout) {
      case KEY -> asked(question, answers, right);
      case STEM, ENDINGS -> new Choices(question, spaced(answers), right);
      case LIST -> listed(question, answers, right);
    };
  }

  private static Choices asked(String question, List<String> answers, int right) {
    return new Choices("Question: %s\nAnswer:".formatted(question), spaced(answers), right);
  }

  private static List<String> spaced(List<String> answers) {
    return answers.stream().map(answer -> " " + answer.strip()).toList();
  }

  /** The answers stand in the question, and a letter is the answer. */
  private static Choices listed(String question, List<String> answers, int right) {
    if (answers.size() > LETTERS.length()) {
      return asked(question, answers, right);
    }
    StringBuilder prompt = new StringBuilder(question);
    List<String> letters = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      String letter = LETTERS.substring(i, i + 1);
      prompt.append('\n').append(letter).append(". ").append(answers.get(i).strip());
      letters.add(letter);
    }
    return new Choices(prompt.append("\nAnswer:").toString(), spaced(letters), right);
  }

  /** A list of a table, where it is a text in JSON. */
  private static JsonNode list(JsonNode value) {
    if (!value.isTextual()) {
      return value;
    }
    try {
      return JSON.readTree(value.asText());
    } catch (JsonProcessingException e) {
      return value;
    }
  }

  private static List<String> texts(JsonNode list) {
    List<String> texts = new ArrayList<>();
    list.forEach(item -> texts.add(item.isValueNode() && !item.isNull() ? item.asText() : ""));
    return list.isArray() && texts.stream().noneMatch(String::isBlank) ? texts : List.of();
  }

  /** By its label, or else by its letter or its number from 0. */
  private int right(Place place, JsonNode value, List<String> labels, int answers) {
    String key = key(value);
    if (isNoAnswer(key)) {
      throw new DataException(
          "%s: '%s' names no right answer; take a file that has them"
              .formatted(place, layout.columns.get(2)));
    }
    if (labels.contains(key)) {
      return labels.indexOf(key);
    }
    // A column of whole numbers with gaps has 1.0 for 1.
    String number = key.replaceFirst("\\.0+$", "");
    return IntStream.range(0, labels.isEmpty() ? answers : 0)
        .filter(
            i ->
                number.equals(Integer.toString(i))
                    || i < LETTERS.length() && key.equals(LETTERS.substring(i, i + 1)))
        .findFirst()
        .orElseThrow(
            () ->
                new DataException(
                    "%s: '%s' must be %s, got %s"
                        .formatted(
                            place,
                            layout.columns.get(2),
                            labels.isEmpty()
                                ? "the letter of an answer, or its number from 0 to "
                                    + (answers - 1)
                                : "one of the labels " + labels,
                            shortened(value))));
  }

  private static String shortened(JsonNode value) {
    String text = value.toString();
    return text.length() <= 100 ? text : text.substring(0, 100) + "...";
  }
}
