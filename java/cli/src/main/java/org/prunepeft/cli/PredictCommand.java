package org.prunepeft.cli;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Example;
import org.prunepeft.data.table.TableFormat;
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
      "  prunepeft predict runs/earlier new.csv --text-column body  a table with texts in a column",
      "  prunepeft predict runs/cola --submission sent              sent/CoLA.tsv for GLUE's leaderboard"
    })
final class PredictCommand implements Callable<Integer> {
  /** Texts that are in memory at once. */
  private static final int CHUNK = 1024;

  @Mixin private RunOptions run;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "FILE",
      description =
          "A .tsv, .csv, .jsonl or .parquet file with the text columns of the run's own; else texts, one a line, in UTF-8; - is the standard input.")
  private Path file;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description =
          "Where to write; replaced if it is there; - is the standard output (default: -).")
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

  @Option(
      names = "--submission",
      paramLabel = "DIR",
      description =
          "Of a run on a task of GLUE: predicts its test files, and writes what GLUE's leaderboard takes, such as CoLA.tsv, into this directory.")
  private Path submission;

  @Option(
      names = {"--data", "--data-dir"},
      paramLabel = "DIR",
      description = "Directory of GLUE's files, for --submission (default: the run's own).")
  private Path data;

  @Override
  public Integer call() throws IOException {
    if ((submission == null) == (file == null)) {
      throw new IllegalArgumentException(
          "name one of the two: a FILE to predict, or a directory for a --submission");
    }
    if (submission != null) {
      if (output != null || format != null || columns.named()) {
        throw new IllegalArgumentException(
            "files of a submission have names, format and columns of their own; leave out other options than --data");
      }
      try (TrainedModel model = run.load()) {
        GlueSubmission.write(model, data, submission);
      }
      return 0;
    }
    if (data != null) {
      throw new IllegalArgumentException("--data is for --submission");
    }
    try (TrainedModel model = run.load();
        Texts texts = open(model)) {
      Outputs.writeResult(output, writer -> predict(texts, model, writer));
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

  private String predict(Texts texts, TrainedModel model, Writer writer) throws IOException {
    int count = 0;
    PredictionFormat chosen = format == null ? PredictionFormat.of(output) : format;
    chosen.begin(writer, model.schema());
    for (List<Example> chunk = texts.next(CHUNK); !chunk.isEmpty(); chunk = texts.next(CHUNK)) {
      Predictions predictions = model.predict(chunk);
      for (int i = 0; i < predictions.size(); i++) {
        chosen.write(writer, predictions, i);
      }
      count += predictions.size();
    }
    return "%,d predictions".formatted(count);
  }
}
