package org.prunepeft.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Example;
import org.prunepeft.data.TableFormat;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.Reason;
import org.prunepeft.train.Predictions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "predict",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Predicts the labels of texts, and how probable each label is, with what a run trained; of a"
          + " regression the number."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft predict runs/earlier texts.txt                   a text a line; a table of tabs",
      "  prunepeft predict runs/earlier texts.txt -o labels.jsonl   JSON objects, one a line",
      "  prunepeft predict runs/earlier new.csv --text-column body  a table with texts in a column"
    })
final class PredictCommand implements Callable<Integer> {
  /** Texts that are in memory at once. */
  private static final int CHUNK = 1024;

  @Mixin private RunOptions run;

  @Parameters(
      index = "1",
      paramLabel = "FILE",
      description =
          "A .tsv, .csv, .jsonl or .parquet file with the text columns of the run's own; else texts, one a line, in UTF-8; - is the standard input.")
  private Path file;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Where to write; replaced if it is there (default: the standard output).")
  private Path output;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description =
          "${COMPLETION-CANDIDATES}; either has a line for each text with its label, the label's"
              + " probability, and that of every label, or with the number (default: jsonl where the output's name ends"
              + " so, else tsv).")
  private PredictionFormat format;

  @Mixin private ColumnOptions columns;

  @Override
  public Integer call() throws IOException {
    try (TrainedModel model = run.load();
        Texts texts = open(model)) {
      if (output == null) {
        Writer writer = new OutputStreamWriter(System.out, StandardCharsets.UTF_8);
        predict(texts, model, writer);
        writer.flush();
        if (System.out.checkError()) {
          throw new IOException("can't write to the standard output");
        }
      } else {
        write(texts, model);
      }
    }
    return 0;
  }

  private Texts open(TrainedModel model) {
    if (TableFormat.of(file).isPresent()) {
      Columns named = columns.orElse(model.columns());
      model.requireTexts(named.texts());
      return Texts.table(file, named);
    }
    if (columns.named()) {
      throw new IllegalArgumentException(
          "only files that end in .tsv, .csv, .jsonl or .parquet have columns, got " + file);
    }
    model.requireTexts(1);
    return Texts.lines(file);
  }

  private void write(Texts texts, TrainedModel model) throws IOException {
    try {
      AtomicFile.write(
          output,
          channel -> {
            Writer writer = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
            predict(texts, model, writer);
            writer.flush();
          });
    } catch (IOException e) {
      throw new IOException("can't write %s: %s".formatted(output, Reason.of(e)), e);
    }
  }

  private void predict(Texts texts, TrainedModel model, Writer writer) throws IOException {
    PredictionFormat chosen = format == null ? PredictionFormat.of(output) : format;
    chosen.begin(writer, model.schema());
    for (List<Example> chunk = texts.next(CHUNK); !chunk.isEmpty(); chunk = texts.next(CHUNK)) {
      Predictions predictions = model.predict(chunk);
      for (int i = 0; i < predictions.size(); i++) {
        chosen.write(writer, predictions, i);
      }
    }
  }
}
