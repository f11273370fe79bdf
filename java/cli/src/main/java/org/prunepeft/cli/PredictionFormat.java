package org.prunepeft.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** How predictions are written, a line each. */
enum PredictionFormat {
  /** A head line; then label, its probability, and that of each label in turn. */
  TSV {
    @Override
    void begin(Writer out, List<String> labels) throws IOException {
      out.write("label\tscore");
      for (String label : labels) {
        out.write("\t" + cell(label));
      }
      out.write('\n');
    }

    @Override
    void write(Writer out, List<String> labels, double[] probabilities) throws IOException {
      int best = best(probabilities);
      out.write(cell(labels.get(best)) + "\t" + number(probabilities[best]));
      for (double probability : probabilities) {
        out.write("\t" + number(probability));
      }
      out.write('\n');
    }
  },

  /** Objects with the members label, score and probabilities. */
  JSONL {
    @Override
    void begin(Writer out, List<String> labels) {}

    @Override
    void write(Writer out, List<String> labels, double[] probabilities) throws IOException {
      int best = best(probabilities);
      Map<String, Double> all = new LinkedHashMap<>();
      for (int i = 0; i < probabilities.length; i++) {
        all.put(labels.get(i), probabilities[i]);
      }
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("label", labels.get(best));
      line.put("score", probabilities[best]);
      line.put("probabilities", all);
      out.write(JSON.writeValueAsString(line) + "\n");
    }
  };

  private static final JsonMapper JSON = new JsonMapper();

  /** What comes before the first prediction. */
  abstract void begin(Writer out, List<String> labels) throws IOException;

  /** One prediction. */
  abstract void write(Writer out, List<String> labels, double[] probabilities) throws IOException;

  /** The format that goes with a file's name; null: the standard output. */
  static PredictionFormat of(Path output) {
    return output != null && output.toString().endsWith(".jsonl") ? JSONL : TSV;
  }

  /** The most probable class, the first of equals. */
  static int best(double[] probabilities) {
    int best = 0;
    for (int i = 1; i < probabilities.length; i++) {
      if (probabilities[i] > probabilities[best]) {
        best = i;
      }
    }
    return best;
  }

  /** A label must not end its cell. */
  private static String cell(String label) {
    return label.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
  }

  private static String number(double probability) {
    return String.format(Locale.ROOT, "%.6f", probability);
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
