package org.prunepeft.data.task;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.sampling.Splits;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.ExampleFile.Row;
import org.prunepeft.data.table.LabelReader;

/** A task of the user's own files. */
public final class FileTask extends OwnFilesTask {
  public FileTask(DataFiles files) {
    super(files);
  }

  @Override
  public String description() {
    return "%s by column %s".formatted(files.kind().problemType(), files.columns().label());
  }

  @Override
  public int textColumns() {
    return files.columns().texts();
  }

  @Override
  public Dataset load(SplitSizes sizes, long seed, long testSeed) {
    List<Row> rows;
    List<String> classes;
    try (ExampleFile examples = ExampleFile.open(files.train(), files.columns(), true)) {
      rows = examples.rowsWithLabels();
      classes = examples.classes();
    }
    Schema schema =
        Schema.of(this, kind() == TaskKind.REGRESSION ? List.of() : labels(rows, classes));
    LabelReader labels = new LabelReader(schema);
    List<Example> train = labels.examples(rows);
    requireVariety(train);
    return new Splits(
            name(),
            schema,
            train,
            optional(files.validation(), labels),
            optional(files.test(), labels))
        .draw(sizes, seed, testSeed);
  }

  private List<Example> optional(Path file, LabelReader labels) {
    return file == null ? null : labels.examples(rows(file));
  }

  private List<Row> rows(Path file) {
    try (ExampleFile examples = ExampleFile.open(file, files.columns(), true)) {
      return examples.rowsWithLabels();
    }
  }

  /**
   * The names of the classes, in order: as the file numbers them, by value if all are whole
   * numbers, else as words.
   */
  private List<String> labels(List<Row> rows, List<String> classes) {
    requireOneSpelling(rows);
    Map<String, Long> distinct = new TreeMap<>();
    rows.forEach(row -> distinct.merge(row.label(), 1L, Long::sum));
    List<String> labels = new ArrayList<>(distinct.keySet());
    if (labels.size() == 1) {
      throw new DataException(
          "%s: all %d labels, column '%s', are '%s'; a classification needs at least 2 classes"
              .formatted(files.train(), rows.size(), files.columns().label(), labels.get(0)));
    }
    if (!classes.isEmpty()) {
      return classes.stream().filter(distinct::containsKey).toList();
    }
    if (labels.size() > rows.size() / 2 && labels.stream().allMatch(LabelReader::isNumber)) {
      throw new IllegalArgumentException(
          "%s has %d different numbers in %d labels, column '%s'; if the number itself is to be predicted, say --do-regression"
              .formatted(files.train(), labels.size(), rows.size(), files.columns().label()));
    }
    if (labels.stream().allMatch(label -> label.matches("-?[0-9]{1,18}"))) {
      labels.sort(
          Comparator.comparingLong((String label) -> Long.parseLong(label))
              .thenComparing(Comparator.naturalOrder()));
    }
    return labels;
  }

  /** Numbers are the same class where they are equal, as 1 and 1.0 are. */
  private static void requireOneSpelling(List<Row> rows) {
    Map<BigDecimal, String> spellings = new HashMap<>();
    for (Row row : rows) {
      if (!row.number()) {
        continue;
      }
      String first = spellings.putIfAbsent(number(row), row.label());
      if (first != null && !first.equals(row.label())) {
        throw new DataException(
            "%s: the label %s is the same number as %s, an earlier label; write it alike in all lines, or, if they are two classes, as texts, \"%s\" and \"%s\""
                .formatted(row.place(), row.label(), first, first, row.label()));
      }
    }
  }

  private static BigDecimal number(Row row) {
    try {
      return new BigDecimal(row.label()).stripTrailingZeros();
    } catch (ArithmeticException e) {
      throw new DataException(
          "%s: the label %s is beyond what is compared as a number; write labels as texts, \"%s\""
              .formatted(row.place(), row.label(), row.label()));
    }
  }

  private void requireVariety(List<Example> train) {
    if (kind() == TaskKind.REGRESSION
        && train.stream().mapToDouble(Example::target).distinct().count() == 1) {
      throw new DataException(
          "%s: all numbers of column '%s' are %s; there is nothing to learn"
              .formatted(files.train(), files.columns().label(), train.get(0).target()));
    }
  }
}
