package org.prunepeft.data.task;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.text.Required;

/**
 * A task of the user's own: files of examples: TSV, CSV, JSON Lines or Parquet, as their names end.
 *
 * @param train to train on; of it also come the parts that have no file of their own
 * @param validation to choose the best epoch by; null: a part of the training file
 * @param test to report on; null: a part of the training file
 * @param columns where texts and labels are, in all files; a language model's have no labels, and
 *     are known by their names unless the text's column has a name of its own
 * @param kind whether labels are names of classes or numbers to be predicted, or there are none and
 *     texts are learnt
 * @param metrics what is measured, the first to choose the best epoch by; none, or null: those of
 *     {@link #measured}
 * @param chat how conversations of a language model's data are written; null: {@link
 *     ChatFormat#DEFAULT}
 */
@RecordBuilder
public record DataFiles(
    Path train,
    Path validation,
    Path test,
    Columns columns,
    TaskKind kind,
    List<Metric> metrics,
    ChatFormat chat) {
  /**
   * Files without conversations.
   *
   * @throws IllegalArgumentException if a metric is not for such a task
   */
  public DataFiles(
      Path train,
      Path validation,
      Path test,
      Columns columns,
      TaskKind kind,
      List<Metric> metrics) {
    this(train, validation, test, columns, kind, metrics, null);
  }

  /**
   * Copies the list.
   *
   * @throws IllegalArgumentException if a metric is not for such a task
   */
  public DataFiles {
    Required.present("the training file", train);
    Required.present("columns", columns);
    Required.present("the kind of task", kind);
    metrics = metrics == null ? List.of() : List.copyOf(metrics);
    for (Metric metric : metrics) {
      if (!metric.measures(kind)) {
        throw new IllegalArgumentException(
            "%s does not measure a %s".formatted(metric.label(), kind.problemType()));
      }
    }
  }

  /**
   * {@return the same as a run keeps it: with absolute paths, so that it finds its files from
   * wherever it goes on, and with the metrics that are measured}
   */
  public DataFiles asRecorded() {
    return new DataFiles(
        absolute(train), absolute(validation), absolute(test), columns, kind, measured(), chat);
  }

  private static Path absolute(Path file) {
    return file == null ? null : file.toAbsolutePath();
  }

  /**
   * {@return the metrics that are named; if there are none, accuracy and macro F1 of classes, both
   * correlations of numbers, log-likelihood of texts}
   */
  public List<Metric> measured() {
    if (!metrics.isEmpty()) {
      return metrics;
    }
    return switch (kind) {
      case CLASSIFICATION -> List.of(Metric.ACCURACY, Metric.MACRO_F1);
      case REGRESSION -> List.of(Metric.PEARSON, Metric.SPEARMAN);
      case LANGUAGE_MODELING -> List.of(Metric.LOG_LIKELIHOOD);
    };
  }

  /**
   * {@return a file of texts and names of classes, in columns of the usual names; validation and
   * test are parts of it}
   *
   * @param train the file
   */
  public static DataFiles of(Path train) {
    return new DataFiles(train, null, null, Columns.DEFAULT, TaskKind.CLASSIFICATION, null);
  }

  /**
   * {@return the same files, whose conversations are written so}
   *
   * @param format of a model
   */
  public DataFiles withChat(ChatFormat format) {
    return new DataFiles(train, validation, test, columns, kind, metrics, format);
  }

  /** {@return those that are named, a table in shards as all its files} */
  List<Path> all() {
    return Stream.of(train, validation, test)
        .filter(Objects::nonNull)
        .flatMap(file -> ExampleFile.files(file).stream())
        .toList();
  }

  /** {@return what a run on the files is called: the training file's name, or its directory's} */
  public String name() {
    Path file = train.toAbsolutePath().normalize();
    String stem = DatasetDirectory.stem(file);
    Path parent = file.getParent();
    Path directory = parent.getFileName();
    if (directory != null && directory.toString().equals("data") && parent.getParent() != null) {
      directory = parent.getParent().getFileName();
    }
    return stem.equals("train") && directory != null ? directory.toString() : stem;
  }

  /** {@return the task} Files are read by {@link Task#load}. */
  public Task task() {
    return kind == TaskKind.LANGUAGE_MODELING ? new LanguageTask(this) : new FileTask(this);
  }
}
