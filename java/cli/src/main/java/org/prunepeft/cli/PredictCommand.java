package org.prunepeft.cli;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Example;
import org.prunepeft.data.Place;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.table.ExampleFile;
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
      "Predicts the labels of texts, and how probable they are, with what a run trained; of a"
          + " regression the number. The text stands beside it."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft predict runs/earlier --text 'so it goes'         one text, at once",
      "  prunepeft predict runs/earlier texts.txt                   a text a line; a table of tabs",
      "  prunepeft predict runs/earlier texts.txt -o labels.jsonl   JSON objects, one a line; or .csv",
      "  prunepeft predict runs/earlier new.csv --text-column body  a table with texts in a column",
      "  prunepeft predict runs/earlier new.csv --id-column nr      their numbers in place of the texts",
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
          "A .tsv, .csv, .jsonl or .parquet file with the text columns of the run's own, of a language model one like those that it learns from; else texts, one a line, in UTF-8; - is the standard input. Blank lines are left out.")
  private Path file;

  @Option(
      names = "--text",
      paramLabel = "TEXT",
      description = "A text to predict, instead of a FILE; may be given several times.")
  private List<String> texts = new ArrayList<>();

  @Option(
      names = "--text-pair",
      paramLabel = "TEXT",
      description = "The second text of a pair, one for each --text.")
  private List<String> pairs = new ArrayList<>();

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
          "${COMPLETION-CANDIDATES}; each has a line for each text with its label, the label's"
              + " probability and the text, or with the number and the text (default: as the output's"
              + " name ends, else tsv).")
  private PredictionFormat format;

  @Option(
      names = "--proba",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description = "Write the probability of every label, not only of the one predicted.")
  private boolean proba;

  @Option(
      names = "--id-column",
      paramLabel = "COLUMN",
      description =
          "Column of a table that is written in place of the text: its name, or its number from 1.")
  private String id;

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
    int sources = (submission == null ? 0 : 1) + (file == null ? 0 : 1) + (texts.isEmpty() ? 0 : 1);
    if (sources != 1) {
      throw new IllegalArgumentException(
          "name one of the three: a FILE to predict, a --text, or a directory for a --submission");
    }
    if (texts.isEmpty() && !pairs.isEmpty()) {
      throw new IllegalArgumentException(
          "--text-pair goes with --text; the columns of a FILE are named with --text-column and --text-pair-column");
    }
    requireWords("--text", texts);
    requireWords("--text-pair", pairs);
    if (submission != null) {
      if (output != null || format != null || columns.named() || proba || id != null) {
        throw new IllegalArgumentException(
            "files of a submission have names, format and columns of their own; leave out other options than --data");
      }
      try (TrainedModel model = run.load()) {
        GlueSubmission.write(model, run::requireHarmless, data, submission);
      }
      return 0;
    }
    if (data != null) {
      throw new IllegalArgumentException("--data is for --submission");
    }
    requireHarmless();
    try (TrainedModel model = run.load();
        Texts opened = open(model)) {
      Outputs.writeResult(output, writer -> predict(opened, model, writer));
    }
    return 0;
  }

  /** What is written replaces nothing that is read. */
  private void requireHarmless() {
    run.requireHarmless(output);
    if (file != null && Files.isRegularFile(file)) {
      ExampleFile.files(file).forEach(read -> Outputs.requireOther(output, read));
    }
  }

  private static void requireWords(String option, List<String> typed) {
    for (String text : typed) {
      if (text.isBlank()) {
        throw new IllegalArgumentException(
            "%s must have words to predict from, got '%s'".formatted(option, text));
      }
    }
  }

  private Texts open(TrainedModel model) {
    if (proba && model.schema().kind() != TaskKind.CLASSIFICATION) {
      throw new IllegalArgumentException(
          "--proba has no effect with a run that predicts numbers, such as %s; leave it out"
              .formatted(run.directory()));
    }
    if (file == null) {
      return typed(model);
    }
    if (TableFormat.of(file).isPresent()) {
      Columns named = columns.orElse(model.columns());
      if (model.generates()) {
        return learnt(model, named);
      }
      model.requireTexts(named.texts());
      return Texts.table(file, named, id);
    }
    if (columns.named() || id != null) {
      throw new IllegalArgumentException(
          "only files that end in .tsv, .csv, .jsonl or .parquet have columns, got " + file);
    }
    model.requireTexts(1);
    return Texts.lines(file);
  }

  /** The texts of a file as a language model learns them, of which a row may be several. */
  private Texts learnt(TrainedModel model, Columns named) {
    List<Example> examples = model.read(file, named);
    Map<Place, String> ids = id == null ? Map.of() : ExampleFile.byPlace(file, id, named.header());
    return Texts.of(
        examples.stream()
            .map(example -> new Texts.UnlabelledText(example, ids.get(example.place())))
            .toList());
  }

  private Texts typed(TrainedModel model) {
    if (columns.named() || id != null) {
      throw new IllegalArgumentException("a --text has no columns; leave their options out");
    }
    if (!pairs.isEmpty() && pairs.size() != texts.size()) {
      throw new IllegalArgumentException(
          "each --text needs one --text-pair, got %d and %d".formatted(texts.size(), pairs.size()));
    }
    model.requireTexts(pairs.isEmpty() ? 1 : 2);
    List<Texts.UnlabelledText> typed = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      typed.add(Texts.UnlabelledText.of(texts.get(i), pairs.isEmpty() ? null : pairs.get(i)));
    }
    return Texts.of(typed);
  }

  private String predict(Texts opened, TrainedModel model, Writer writer) throws IOException {
    int count = 0;
    PredictionFormat chosen = format == null ? PredictionFormat.of(output) : format;
    chosen.begin(writer, PredictionRow.columns(model.schema(), proba, id != null));
    for (List<Texts.UnlabelledText> chunk = opened.next(CHUNK);
        !chunk.isEmpty();
        chunk = opened.next(CHUNK)) {
      Predictions predictions =
          model.predict(chunk.stream().map(Texts.UnlabelledText::example).toList());
      for (int i = 0; i < predictions.size(); i++) {
        chosen.write(writer, new PredictionRow(chunk.get(i), predictions, i, proba));
      }
      // Whoever reads them has each chunk at once, and what can't be written ends the work.
      writer.flush();
      count += predictions.size();
    }
    return String.format(Locale.ROOT, "%,d predictions", count);
  }
}
