package org.prunepeft.data.task;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.sampling.Splits;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.ExampleFile.Row;
import org.prunepeft.data.table.LabelReader;
import org.prunepeft.io.BoundedFile;

/**
 * A task of GLUE (Wang et al. 2018, arXiv 1804.07461), read from the benchmark's own TSV files.
 *
 * <p>The labels of GLUE's test files are not public. So the test part is the development set; the
 * validation part, by which the best epoch is chosen, is drawn from the training set: a tenth of
 * it, at most {@value #VALIDATION}. Labels are those of the files, in the order that Hugging Face's
 * data sets have them in.
 */
public final class GlueTask implements Task {
  /** What the nine are, and how their files are made. */
  private enum Corpus {
    COLA(
        "cola",
        "CoLA",
        "whether an English sentence is acceptable",
        new Columns("sentence", null, "label", true),
        List.of("0", "1"),
        Metric.MATTHEWS_CORRELATION,
        Metric.ACCURACY),
    SST2(
        "sst2",
        "SST-2",
        "whether a sentence from a film review is positive",
        new Columns("sentence", null, "label", true),
        List.of("0", "1"),
        Metric.ACCURACY),
    MRPC(
        "mrpc",
        "MRPC",
        "whether two sentences from the news mean the same",
        new Columns("#1 String", "#2 String", "Quality", true),
        List.of("0", "1"),
        Metric.ACCURACY_AND_F1,
        Metric.ACCURACY,
        Metric.F1),
    STSB(
        "stsb",
        "STS-B",
        "how alike two sentences are in meaning, 0 to 5",
        new Columns("sentence1", "sentence2", "score", true),
        List.of(),
        Metric.PEARSON_AND_SPEARMAN,
        Metric.PEARSON,
        Metric.SPEARMAN),
    QQP(
        "qqp",
        "QQP",
        "whether two questions on Quora ask the same",
        new Columns("question1", "question2", "is_duplicate", true),
        List.of("0", "1"),
        Metric.ACCURACY_AND_F1,
        Metric.ACCURACY,
        Metric.F1),
    MNLI(
        "mnli",
        "MNLI",
        "whether a hypothesis follows from a premise; evaluated on the genres of the training set",
        new Columns("sentence1", "sentence2", "gold_label", true),
        List.of("entailment", "neutral", "contradiction"),
        Metric.ACCURACY),
    MNLI_MISMATCHED(
        "mnli_mismatched",
        "MNLI",
        "whether a hypothesis follows from a premise; evaluated on genres that are not in training",
        MNLI.columns,
        MNLI.labels,
        Metric.ACCURACY),
    QNLI(
        "qnli",
        "QNLI",
        "whether a sentence answers a question",
        new Columns("question", "sentence", "label", true),
        List.of("entailment", "not_entailment"),
        Metric.ACCURACY),
    RTE(
        "rte",
        "RTE",
        "whether a sentence follows from a text",
        new Columns("sentence1", "sentence2", "label", true),
        List.of("entailment", "not_entailment"),
        Metric.ACCURACY),
    WNLI(
        "wnli",
        "WNLI",
        "whether a sentence in which a pronoun is replaced follows from the one with the pronoun",
        new Columns("sentence1", "sentence2", "label", true),
        List.of("0", "1"),
        Metric.ACCURACY);

    /** Of CoLA's training and development files, which have no header. */
    private static final Columns COLA_WITHOUT_HEADER = new Columns("4", null, "2", false);

    private final String key;
    private final String directory;
    private final String description;
    private final Columns columns;
    private final List<String> labels;
    private final List<Metric> metrics;

    Corpus(
        String key,
        String directory,
        String description,
        Columns columns,
        List<String> labels,
        Metric... metrics) {
      this.key = key;
      this.directory = directory;
      this.description = description;
      this.columns = columns;
      this.labels = labels;
      this.metrics = List.of(metrics);
    }

    String developmentFile() {
      return switch (this) {
        case MNLI -> "dev_matched.tsv";
        case MNLI_MISMATCHED -> "dev_mismatched.tsv";
        default -> "dev.tsv";
      };
    }

    Columns labelledColumns() {
      return this == COLA ? COLA_WITHOUT_HEADER : columns;
    }
  }

  private static final int VALIDATION = 1000;

  /** Where the diagnostic set is, which a model of MNLI predicts. */
  private static final List<String> DIAGNOSTIC =
      List.of("AX/test.tsv", "AX/AX.tsv", "diagnostic/diagnostic.tsv");

  private final Corpus corpus;
  private final Path directory;

  private GlueTask(Corpus corpus, Path directory) {
    this.corpus = corpus;
    this.directory = directory;
  }

  /** All of them, of which {@link #at} makes tasks with data. */
  public static List<Task> all() {
    List<Task> tasks = new ArrayList<>();
    for (Corpus corpus : Corpus.values()) {
      tasks.add(new GlueTask(corpus, null));
    }
    return tasks;
  }

  /**
   * A file to be sent to GLUE's leaderboard.
   *
   * @param name of the file, such as {@code MNLI-mm.tsv}
   * @param source the test file whose labels are to be predicted
   */
  public record Submission(String name, Path source) {}

  /**
   * The files that a submission has of this task: one; of MNLI two, and the diagnostic set's if it
   * is there.
   *
   * @throws IllegalArgumentException if the task has no directory
   * @throws DataException if a test file is not there
   */
  public List<Submission> submissions() {
    if (!corpus.directory.equals("MNLI")) {
      return List.of(new Submission(corpus.directory + ".tsv", file("test.tsv")));
    }
    List<Submission> submissions = new ArrayList<>();
    submissions.add(new Submission("MNLI-m.tsv", file("test_matched.tsv")));
    submissions.add(new Submission("MNLI-mm.tsv", file("test_mismatched.tsv")));
    DIAGNOSTIC.stream()
        .map(directory::resolve)
        .filter(Files::exists)
        .findFirst()
        .ifPresent(file -> submissions.add(new Submission("AX.tsv", file)));
    return submissions;
  }

  /** The columns of its test files; there is no label. */
  public Columns columns() {
    return corpus.columns;
  }

  @Override
  public Task at(Path data) {
    return new GlueTask(corpus, Objects.requireNonNull(data, "data"));
  }

  @Override
  public String name() {
    return corpus.key;
  }

  @Override
  public String description() {
    return corpus.description;
  }

  @Override
  public String source() {
    return "GLUE's files, "
        + corpus.directory
        + " in a directory that --data names; see gluebenchmark.com";
  }

  @Override
  public String licence() {
    return "that of the data set; see gluebenchmark.com";
  }

  @Override
  public TaskKind kind() {
    return corpus == Corpus.STSB ? TaskKind.REGRESSION : TaskKind.CLASSIFICATION;
  }

  @Override
  public int textColumns() {
    return corpus.columns.texts();
  }

  @Override
  public List<Metric> metrics() {
    return corpus.metrics;
  }

  @Override
  public List<Path> files() {
    return List.of(file("train.tsv"), file(corpus.developmentFile()));
  }

  @Override
  public Dataset load(SplitSizes sizes, long seed, long testSeed) {
    Schema schema = Schema.of(this, corpus.labels);
    List<Example> train = examples(file("train.tsv"), schema);
    List<Example> development = examples(file(corpus.developmentFile()), schema);
    SplitSizes usual =
        new SplitSizes(null, Math.max(1, Math.min(VALIDATION, train.size() / 10)), null);
    return new Splits(name(), schema, train, null, development)
        .draw(sizes.orElse(usual), seed, testSeed);
  }

  private List<Example> examples(Path file, Schema schema) {
    List<Row> rows;
    // Some rows of QQP are broken off; Hugging Face's loader leaves them out, too.
    try (ExampleFile examples =
        corpus == Corpus.QQP
            ? ExampleFile.openLenient(file, corpus.labelledColumns())
            : ExampleFile.open(file, corpus.labelledColumns(), true)) {
      rows = examples.rows();
    }
    return new LabelReader(schema).examples(rows);
  }

  /** A file in the directory, or in the task's own directory within it. */
  private Path file(String name) {
    if (directory == null) {
      throw new IllegalArgumentException(
          "task %s is read from GLUE's files; name the directory that they are in with --data"
              .formatted(corpus.key));
    }
    Path own = directory.resolve(corpus.directory).resolve(name);
    Path file = Files.exists(own) ? own : directory.resolve(name);
    if (!Files.exists(file)) {
      throw new DataException(
          "there is no %s in %s or in %s within it; GLUE's files for %s are at gluebenchmark.com/tasks"
              .formatted(name, directory, corpus.directory, corpus.key));
    }
    try {
      return BoundedFile.regular(file);
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
  }
}
