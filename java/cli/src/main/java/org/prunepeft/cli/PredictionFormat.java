package org.prunepeft.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.train.Predictions;

/** How predictions are written, a line each. */
enum PredictionFormat {
  /** A head line; then label, its probability, and that of each label in turn; or the number. */
  TSV {
    @Override
    void begin(Writer out, Schema schema) throws IOException {
      if (schema.kind() == TaskKind.REGRESSION) {
        out.write("value\n");
        return;
      }
      out.write("label\tscore");
      for (String label : schema.labels()) {
        out.write("\t" + cell(label));
      }
      out.write('\n');
    }

    @Override
    void write(Writer out, Predictions predictions, int i) throws IOException {
      if (predictions.schema().kind() == TaskKind.REGRESSION) {
        out.write(number(predictions.value(i)) + "\n");
        return;
      }
      int best = predictions.label(i);
      double[] probabilities = predictions.probabilities(i);
      out.write(cell(predictions.schema().labels().get(best)) + "\t" + number(probabilities[best]));
      for (double probability : probabilities) {
        out.write("\t" + number(probability));
      }
      out.write('\n');
    }
  },

  /** Objects with the members label, score and probabilities, or value. */
  JSONL {
    @Override
    void begin(Writer out, Schema schema) {}

    @Override
    void write(Writer out, Predictions predictions, int i) throws IOException {
      Map<String, Object> line = new LinkedHashMap<>();
      if (predictions.schema().kind() == TaskKind.REGRESSION) {
        line.put("value", predictions.value(i));
      } else {
        List<String> labels = predictions.schema().labels();
        double[] probabilities = predictions.probabilities(i);
        Map<String, Double> all = new LinkedHashMap<>();
        for (int k = 0; k < probabilities.length; k++) {
          all.put(labels.get(k), probabilities[k]);
        }
        line.put("label", labels.get(predictions.label(i)));
        line.put("score", probabilities[predictions.label(i)]);
        line.put("probabilities", all);
      }
      out.write(JSON.writeValueAsString(line) + "\n");
    }
  };

  private static final JsonMapper JSON = new JsonMapper();

  /** What comes before the first prediction. */
  abstract void begin(Writer out, Schema schema) throws IOException;

  /** One prediction. */
  abstract void write(Writer out, Predictions predictions, int i) throws IOException;

  /** The format that goes with a file's name; null: the standard output. */
  static PredictionFormat of(Path output) {
    return output != null && output.toString().endsWith(".jsonl") ? JSONL : TSV;
  }

  /** A label must not end its cell. */
  private static String cell(String label) {
    return label.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.6f", value);
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
