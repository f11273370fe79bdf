package org.prunepeft.data.table;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.data.Example;
import org.prunepeft.data.TrainingText;

/** How rows of texts for a language model are laid out, by the columns that they have. */
public enum TextLayout {
  /**
   * Alpaca's: an instruction, the output, which alone contributes to the loss, and an input, which
   * may be empty or not be there.
   */
  INSTRUCTION("instruction", "output") {
    @Override
    Optional<String> optional() {
      return Optional.of("input");
    }

    @Override
    TrainingText text(List<String> cells) {
      return instruction(cells.get(0), cells.get(2), cells.get(1));
    }
  },
  /** GSM8K's: a question, and the answer, which alone contributes to the loss. */
  QUESTION("question", "answer") {
    @Override
    TrainingText text(List<String> cells) {
      return TrainingText.of("Question: %s\nAnswer:".formatted(cells.get(0)), " " + cells.get(1));
    }
  },
  /** A text, all of which contributes to the loss. */
  TEXT("text") {
    @Override
    TrainingText text(List<String> cells) {
      return TrainingText.of(cells.get(0));
    }
  };

  private final List<String> columns;

  TextLayout(String... columns) {
    this.columns = List.of(columns);
  }

  /** A column that files and rows need not have; its cell is empty then. */
  Optional<String> optional() {
    return Optional.empty();
  }

  /** What a row's cells say, in the order of the columns, with that which is optional at last. */
  abstract TrainingText text(List<String> cells);

  /** {@return the names of the columns that all rows have} */
  public List<String> columns() {
    return columns;
  }

  /** Alpaca's prompt, in its form with a new line behind "### Response:". */
  private static TrainingText instruction(String instruction, String input, String output) {
    boolean with = !input.isBlank();
    return TrainingText.of(
        "Below is an instruction that describes a task%s. Write a response that appropriately completes the request.\n\n### Instruction:\n%s\n\n%s### Response:\n"
            .formatted(
                with ? ", paired with an input that provides further context" : "",
                instruction,
                with ? "### Input:\n" + input + "\n\n" : ""),
        output);
  }

  /**
   * {@return the layout that has the most of a file's columns; empty if there is none}
   *
   * @param columns of the file
   */
  public static Optional<TextLayout> of(List<String> columns) {
    return Stream.of(values()).filter(layout -> columns.containsAll(layout.columns)).findFirst();
  }

  /**
   * {@return all texts of a file, 1 or more}
   *
   * @param file whose name gives its format
   * @param layout of its rows
   * @param columns names of the layout's columns in this file, or their numbers from 1
   * @param header whether the first line of a table names its columns
   * @throws org.prunepeft.data.DataException if it can't be read, is empty or damaged; names the
   *     line
   * @throws IllegalArgumentException if the name gives no format, or a column is not there
   */
  public static List<Example> read(
      Path file, TextLayout layout, List<String> columns, boolean header) {
    Set<String> optional = layout.optional().stream().collect(Collectors.toSet());
    return ExampleFile.cells(
        file,
        Stream.concat(columns.stream(), optional.stream()).toList(),
        optional,
        header,
        (place, cells) -> Example.of(layout.text(cells)).at(place));
  }
}
