package org.prunepeft.data.task;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Place;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.data.chat.ConversationFile;
import org.prunepeft.data.sampling.Splits;
import org.prunepeft.data.table.ChoiceFile;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.TextLayout;

/** Texts of the user's own files, which a language model learns to continue. */
public final class LanguageTask extends OwnFilesTask {
  public LanguageTask(DataFiles files) {
    super(files);
  }

  @Override
  public String description() {
    return "texts, token by token";
  }

  @Override
  public Dataset load(SplitSizes sizes, long seed, long testSeed) {
    Map<Place, List<Example>> rows = new HashMap<>();
    Dataset drawn =
        new Splits(
                name(),
                Schema.of(this, List.of()),
                firsts(files.train(), rows),
                firsts(files.validation(), rows),
                firsts(files.test(), rows))
            .draw(sizes, seed, testSeed);
    return new Dataset(
        drawn.name(),
        drawn.schema(),
        all(drawn.train(), rows),
        all(drawn.validation(), rows),
        all(drawn.test(), rows));
  }

  /**
   * The first text of each row, which is drawn with the others of its conversation.
   *
   * @param file null: there is none
   * @param rows to which those of the file are added
   */
  private List<Example> firsts(Path file, Map<Place, List<Example>> rows) {
    if (file == null) {
      return null;
    }
    Map<Place, List<Example>> own =
        examples(file, files.columns(), files.chat()).stream()
            .collect(
                Collectors.groupingBy(Example::place, LinkedHashMap::new, Collectors.toList()));
    rows.putAll(own);
    return own.values().stream().map(texts -> texts.get(0)).toList();
  }

  private static List<Example> all(List<Example> firsts, Map<Place, List<Example>> rows) {
    return firsts.stream().flatMap(first -> rows.get(first.place()).stream()).toList();
  }

  /**
   * {@return whether a file has rows that a language model learns from, and no labels of classes}
   *
   * @param file whose name gives its format
   * @param columns whose label is looked for
   */
  public static boolean suits(Path file, Columns columns) {
    List<String> there = ExampleFile.columns(file, columns.header());
    return ChoiceFile.suits(there)
        || !there.contains(columns.label())
            && (ConversationFile.suits(there)
                || TextLayout.of(there).isPresent()
                || ExampleFile.has(file, there, columns.text()));
  }

  /**
   * {@return whether files have conversations, which a {@link ChatFormat} writes}
   *
   * @param files of any task
   */
  public static boolean hasConversations(DataFiles files) {
    return files.kind() == TaskKind.LANGUAGE_MODELING
        && hasConversations(files.train(), files.columns());
  }

  /**
   * {@return whether a language model's file has conversations, which a {@link ChatFormat} writes}
   *
   * @param file whose name gives its format
   * @param columns whose text is the column of texts, where it is not named text
   */
  public static boolean hasConversations(Path file, Columns columns) {
    return !hasOwnColumn(columns) && ConversationFile.hasMessages(file);
  }

  /**
   * {@return what is measured where no metrics are named: the log-likelihood, and of questions with
   * answers to choose from the accuracies}
   *
   * @param file whose columns {@link #suits suit}
   * @param columns whose text is the column of texts, where it is not named text
   */
  public static List<Metric> metrics(Path file, Columns columns) {
    return !hasOwnColumn(columns) && ChoiceFile.suits(ExampleFile.columns(file, columns.header()))
        ? List.of(Metric.LOG_LIKELIHOOD, Metric.ACCURACY, Metric.ACCURACY_NORM)
        : List.of(Metric.LOG_LIKELIHOOD);
  }

  /** Whether a column is named, which then has plain texts. */
  private static boolean hasOwnColumn(Columns columns) {
    return !columns.text().equals(Columns.DEFAULT.text());
  }

  /**
   * {@return the texts of a file, one or more a row}
   *
   * @param file whose name gives its format
   * @param columns whose text is the column of texts, where it is not named text
   * @param chat how conversations are written; null: {@link ChatFormat#DEFAULT}
   * @throws IllegalArgumentException if the columns are of no known layout
   */
  public static List<Example> examples(Path file, Columns columns, ChatFormat chat) {
    List<String> there = ExampleFile.columns(file, columns.header());
    boolean own = hasOwnColumn(columns);
    if (!own && ConversationFile.suits(there)) {
      ChatFormat format = chat == null ? ChatFormat.DEFAULT : chat;
      return ConversationFile.read(file, format);
    }
    if (!own && ChoiceFile.suits(there)) {
      return ChoiceFile.read(file);
    }
    TextLayout layout =
        own
            ? TextLayout.TEXT
            : TextLayout.of(there)
                .orElseThrow(
                    () ->
                        new IllegalArgumentException(
                            "%s has the columns %s; texts for a language model are in a column text, in messages or conversations, in prompt and completion, in question and answer, in question, choices and answerKey or answer, or in instruction, input and output; or name their column with --text-column"
                                .formatted(file, there)));
    List<String> names = own ? List.of(columns.text()) : layout.columns();
    return TextLayout.read(file, layout, names, columns.header());
  }
}
