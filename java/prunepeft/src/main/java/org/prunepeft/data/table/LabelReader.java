package org.prunepeft.data.table;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.table.ExampleFile.Row;
import org.prunepeft.text.Spelling;

/** Reads labels as the targets that a schema knows. */
public final class LabelReader {
  /** Labels that a message lists at most. */
  private static final int SHOWN = 20;

  private final Schema schema;
  private final Map<String, Integer> numbers = new HashMap<>();

  /**
   * Reads labels of a schema.
   *
   * @param schema that names the classes, or says that numbers are predicted
   */
  public LabelReader(Schema schema) {
    this.schema = schema;
    for (String label : schema.labels()) {
      numbers.put(label, numbers.size());
    }
  }

  /**
   * {@return examples of a file's rows, in their order}
   *
   * @param rows with labels
   * @throws DataException if a label is none of the schema's, or no number; names file and line
   */
  public List<Example> examples(List<Row> rows) {
    return rows.stream().map(row -> new Example(row.text(), row.pair(), target(row))).toList();
  }

  private double target(Row row) {
    if (schema.kind() == TaskKind.REGRESSION) {
      if (!isNumber(row.label())) {
        throw new DataException(
            "%s: a number is to be predicted, but the label is '%s'"
                .formatted(row.place(), shortened(row.label())));
      }
      return Double.parseDouble(row.label());
    }
    Integer number = numbers.get(row.label());
    if (number == null) {
      List<String> shown = schema.labels().subList(0, Math.min(SHOWN, schema.labels().size()));
      throw new DataException(
          "%s: the training data has no such label: %s"
                  .formatted(row.place(), Spelling.unknown("label", shortened(row.label()), shown))
              + (shown.size() < schema.labels().size() ? ", ..." : ""));
    }
    return number;
  }

  private static String shortened(String label) {
    return label.length() <= 80 ? label : label.substring(0, 80) + "...";
  }

  /** {@return whether a label is a finite decimal number} */
  public static boolean isNumber(String label) {
    return label.matches("[-+]?([0-9]++\\.?[0-9]*+|\\.[0-9]++)([eE][-+]?[0-9]{1,3})?")
        && Double.isFinite(Double.parseDouble(label));
  }
}
