package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.train.Predictions;

/**
 * What is written of a prediction: the label and its probability, or the number; then the
 * probability of every label, if asked for; then the row's id, or else its text or texts.
 *
 * @param text of which it is
 * @param predictions of several texts
 * @param i which of them
 * @param all whether the probability of every label is written
 */
record PredictionRow(Texts.UnlabelledText text, Predictions predictions, int i, boolean all) {
  private static final String ID = "id";

  /** By their number. */
  private static final List<String> TEXTS = List.of("text", "text_pair");

  private List<String> labels() {
    return predictions.schema().labels();
  }

  /** The names of a table's columns. */
  static List<String> columns(Schema schema, boolean all, boolean id) {
    List<String> columns = new ArrayList<>();
    columns.addAll(number(schema) ? List.of(value(schema)) : List.of("label", "score"));
    columns.addAll(all ? schema.labels() : List.of());
    columns.addAll(id ? List.of(ID) : TEXTS.subList(0, schema.textColumns()));
    return columns;
  }

  private static boolean number(Schema schema) {
    return schema.kind() != TaskKind.CLASSIFICATION;
  }

  /** What a number is called. */
  private static String value(Schema schema) {
    return schema.kind() == TaskKind.REGRESSION ? "value" : "log_likelihood";
  }

  /** What stands in them. */
  List<String> cells() {
    List<String> cells = new ArrayList<>();
    if (number(predictions.schema())) {
      cells.add(number(predictions.value(i)));
    } else {
      double[] probabilities = predictions.probabilities(i);
      int best = predictions.label(i);
      cells.add(labels().get(best));
      cells.add(number(probabilities[best]));
      for (int k = 0; all && k < probabilities.length; k++) {
        cells.add(number(probabilities[k]));
      }
    }
    cells.addAll(beside().values());
    return cells;
  }

  /** The same as members of an object: label, score and probabilities, or value. */
  Map<String, Object> members() {
    Map<String, Object> members = new LinkedHashMap<>();
    if (number(predictions.schema())) {
      members.put(value(predictions.schema()), predictions.value(i));
    } else {
      double[] probabilities = predictions.probabilities(i);
      members.put("label", labels().get(predictions.label(i)));
      members.put("score", probabilities[predictions.label(i)]);
      if (all) {
        Map<String, Double> shares = new LinkedHashMap<>();
        for (int k = 0; k < probabilities.length; k++) {
          shares.put(labels().get(k), probabilities[k]);
        }
        members.put("probabilities", shares);
      }
    }
    members.putAll(beside());
    return members;
  }

  private Map<String, String> beside() {
    Map<String, String> beside = new LinkedHashMap<>();
    if (text.id() != null) {
      beside.put(ID, text.id());
      return beside;
    }
    beside.put(TEXTS.get(0), text.example().text());
    if (text.example().pair() != null) {
      beside.put(TEXTS.get(1), text.example().pair());
    }
    return beside;
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.6f", value);
  }
}
