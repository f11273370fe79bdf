package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.settings.Setup;

class FileTaskTest {
  @TempDir Path temporary;

  @Test
  void oneFileIsSplitByTheSeedWithEachClassInItsShare() throws IOException {
    Path file = write("reviews.csv", 500, i -> i % 5 == 0 ? "bad" : "good");
    Task task = classification(file, null, null).task();
    Dataset data = task.load(SplitSizes.UNSPECIFIED, 3, 3);
    assertEquals("reviews", data.name());
    assertEquals(List.of("bad", "good"), data.labels());
    assertEquals(400, data.train().size());
    for (List<Example> part : List.of(data.train(), data.validation(), data.test())) {
      assertEquals(part.size() / 5, part.stream().filter(example -> example.label() == 0).count());
    }
    Set<String> texts =
        Stream.of(data.train(), data.validation(), data.test())
            .flatMap(List::stream)
            .map(Example::text)
            .collect(Collectors.toSet());
    assertEquals(500, texts.size());
    assertEquals(data, task.load(SplitSizes.UNSPECIFIED, 3, 3));
    assertNotEquals(data.test(), task.load(SplitSizes.UNSPECIFIED, 3, 4).test());
    Dataset other = task.load(SplitSizes.UNSPECIFIED, 4, 3);
    assertEquals(data.test(), other.test());
    assertNotEquals(data.train(), other.train());
    assertNotEquals(data.validation(), other.validation());
  }

  @Test
  void partsThatAreGivenAreTakenAsTheyAreOrSampled() throws IOException {
    Path train = write("train.csv", 60, i -> "" + i % 3);
    Path validation = write("dev.csv", 30, i -> "" + i % 3);
    Path test = write("test.csv", 20, i -> "" + i % 2);
    Task task = classification(train, validation, test).task();
    assertEquals(temporary.getFileName().toString(), task.name());
    Dataset data = task.load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(
        List.of(60, 30, 20),
        List.of(data.train().size(), data.validation().size(), data.test().size()));
    assertEquals(
        IntStream.range(0, 20).mapToObj(i -> "test.csv " + i).toList(),
        data.test().stream().map(Example::text).toList());
    Dataset smaller = task.load(new SplitSizes(30, 15, 8), 0, 0);
    assertEquals(30, smaller.train().size());
    assertEquals(15, smaller.validation().size());
    assertEquals(8, new HashSet<>(smaller.test()).size());
    assertEquals(smaller.test(), task.load(new SplitSizes(30, 15, 8), 1, 0).test());
    assertNotEquals(smaller.test(), task.load(new SplitSizes(30, 15, 8), 0, 1).test());
    Dataset all = task.load(new SplitSizes(61, 31, 21), 0, 0);
    assertEquals(
        List.of(60, 30, 20),
        List.of(all.train().size(), all.validation().size(), all.test().size()));
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> classification(train, null, test).task().load(new SplitSizes(9, 61, null), 0, 0));
    assertTrue(e.getMessage().contains("60 examples for the validation part, but 61"));
    Dataset drawn =
        classification(train, validation, null).task().load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(54, drawn.train().size());
    assertEquals(6, drawn.test().size());
  }

  @Test
  void labelsAreSortedByValueIfAllAreWholeNumbersElseAsWords() throws IOException {
    Path numbers = write("numbers.csv", 60, i -> "" + (i % 3 * 9 - 9));
    assertEquals(
        List.of("-9", "0", "9"),
        DataFiles.of(numbers).task().load(SplitSizes.UNSPECIFIED, 0, 0).labels());
    Path words = write("words.csv", 60, i -> i % 3 == 0 ? "10" : i % 3 == 1 ? "9" : "nine");
    assertEquals(
        List.of("10", "9", "nine"),
        classification(words, null, null).task().load(SplitSizes.UNSPECIFIED, 0, 0).labels());
  }

  @Test
  void numbersAreToldInARegression() throws IOException {
    Path file = write("scores.csv", 50, i -> i / 10.0 + (i % 2 == 0 ? "" : "e0"));
    DataFiles files =
        new DataFiles(file, null, null, Columns.DEFAULT, TaskKind.REGRESSION, List.of());
    Dataset data = files.task().load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(List.of(Metric.PEARSON, Metric.SPEARMAN), data.schema().metrics());
    for (Example example : data.train()) {
      int number = Integer.parseInt(example.text().replaceAll("\\D+", ""));
      assertEquals(number / 10.0, example.target());
    }
    for (String label : List.of("NaN", "Infinity", "1e999", "0x1p3", "1f", "many")) {
      Path wrong = write("wrong.csv", 10, i -> i == 6 ? label : "" + i);
      Exception e =
          assertThrows(
              DataException.class,
              () ->
                  new DataFiles(wrong, null, null, Columns.DEFAULT, TaskKind.REGRESSION, List.of())
                      .task()
                      .load(SplitSizes.UNSPECIFIED, 0, 0));
      assertTrue(
          e.getMessage()
              .contains("line 8: a number is to be predicted, but the label is '" + label),
          e.getMessage());
    }
    Path constant = write("constant.csv", 10, i -> "1.5");
    Exception e =
        assertThrows(
            DataException.class,
            () ->
                new DataFiles(constant, null, null, Columns.DEFAULT, TaskKind.REGRESSION, List.of())
                    .task()
                    .load(SplitSizes.UNSPECIFIED, 0, 0));
    assertTrue(e.getMessage().contains("all numbers of column 'label' are 1.5"), e.getMessage());
  }

  @Test
  void classesThatCannotBeLearntAreNamed() throws IOException {
    Path one = write("one.csv", 10, i -> "good");
    refused(classification(one, null, null), "all 10 labels, column 'label', are 'good'");
    Path rare = write("rare.csv", 40, i -> i == 7 ? "rare" : i % 2 == 0 ? "good" : "bad");
    refused(classification(rare, null, null), "label 'rare' has only 1 example, but");
    Path other = write("other.csv", 4, i -> i == 2 ? "goood" : "bad");
    Path known = write("known.csv", 20, i -> i % 2 == 0 ? "good" : "bad");
    refused(
        classification(known, other, other),
        "line 4: the training data has no such label: unknown label 'goood'; did you mean good?");
    Path numbers = write("numbers.csv", 40, i -> "" + i / 7.0);
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> classification(numbers, null, null).task().load(SplitSizes.UNSPECIFIED, 0, 0));
    assertTrue(e.getMessage().contains("say --do-regression"), e.getMessage());
    // A class with one example can be learnt where the file is not split.
    Dataset data = classification(rare, known, known).task().load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(List.of("bad", "good", "rare"), data.labels());
    assertThrows(
        DataException.class,
        () -> classification(rare, known, known).task().load(new SplitSizes(2, null, null), 0, 0));
  }

  @Test
  void twoSpellingsOfANumberAreNotTwoClasses() throws IOException {
    Path numbers = json("numbers", i -> i % 2 == 0 ? "0" : i == 13 ? "1.0" : "1");
    refused(
        classification(numbers, null, null),
        numbers + ", line 14: the label 1.0 is the same number as 1, an earlier label");
    Path beyond = json("beyond", i -> i == 13 ? "100e2147483647" : "1");
    refused(
        classification(beyond, null, null),
        beyond + ", line 14: the label 100e2147483647 is beyond what is compared as a number");
    // Texts are what they are, as cells of a table are.
    Path texts = json("texts", i -> i % 2 == 0 ? "\"1.1\"" : "\"1.10\"");
    Path table = write("table.csv", 20, i -> i % 2 == 0 ? "1.1" : "1.10");
    for (Path file : List.of(texts, table)) {
      Dataset data = classification(file, null, null).task().load(SplitSizes.UNSPECIFIED, 0, 0);
      assertEquals(List.of("1.1", "1.10"), data.labels());
    }
    Path alike = json("alike", i -> i % 2 == 0 ? "0.0" : "1.0");
    Dataset data = classification(alike, null, null).task().load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(List.of("0.0", "1.0"), data.labels());
    Path scores = json("scores", i -> i % 2 == 0 ? "" + i : i - 1 + ".0");
    new DataFiles(scores, null, null, Columns.DEFAULT, TaskKind.REGRESSION, List.of())
        .task()
        .load(SplitSizes.UNSPECIFIED, 0, 0);
  }

  private Path json(String name, IntFunction<String> label) throws IOException {
    return Files.writeString(
        temporary.resolve(name + ".jsonl"),
        IntStream.range(0, 20)
            .mapToObj(i -> "{\"text\": \"t%d\", \"label\": %s}\n".formatted(i, label.apply(i)))
            .collect(Collectors.joining()));
  }

  @Test
  void aRareClassIsInEachPart() throws IOException {
    Path file = write("rare.csv", 60, i -> i % 20 == 7 ? "rare" : i % 2 == 0 ? "good" : "bad");
    Dataset data = classification(file, null, null).task().load(SplitSizes.UNSPECIFIED, 0, 0);
    for (List<Example> part : List.of(data.train(), data.validation(), data.test())) {
      assertEquals(1, part.stream().filter(example -> example.label() == 2).count());
    }
  }

  @Test
  void metricsAreThoseOfTheKindUnlessTheyAreNamed() {
    DataFiles usual = DataFiles.of(Path.of("a.csv"));
    assertEquals(List.of(Metric.ACCURACY, Metric.MACRO_F1), usual.task().metrics());
    DataFiles numbers = DataFilesBuilder.builder(usual).kind(TaskKind.REGRESSION).build();
    assertEquals(List.of(Metric.PEARSON, Metric.SPEARMAN), numbers.task().metrics());
    DataFiles named = DataFilesBuilder.builder(usual).metrics(List.of(Metric.F1)).build();
    assertEquals(List.of(Metric.F1), named.task().metrics());
    assertThrows(
        IllegalArgumentException.class,
        () -> DataFilesBuilder.builder(named).kind(TaskKind.REGRESSION).build());
  }

  /** An import's are names, which are looked for where it is read. */
  @Test
  void pathsOfARunAreAbsoluteAndItsMetricsNamed() {
    DataFiles given =
        DataFilesBuilder.builder(DataFiles.of(Path.of("a.csv"))).test(Path.of("b.csv")).build();
    assertEquals(Path.of("a.csv"), given.train());
    Setup run = Setup.DEFAULT.withData(Path.of("glue")).withFiles(given).asRecorded();
    Path here = Path.of("").toAbsolutePath();
    assertEquals(here.resolve("a.csv"), run.files().train());
    assertNull(run.files().validation());
    assertEquals(here.resolve("b.csv"), run.files().test());
    assertEquals(here.resolve("glue"), run.data());
    assertEquals(given.measured(), run.files().metrics());
  }

  private static void refused(DataFiles files, String message) {
    Exception e =
        assertThrows(DataException.class, () -> files.task().load(SplitSizes.UNSPECIFIED, 0, 0));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  private static DataFiles classification(Path train, Path validation, Path test) {
    return new DataFiles(
        train, validation, test, Columns.DEFAULT, TaskKind.CLASSIFICATION, List.of());
  }

  private Path write(String name, int rows, IntFunction<String> label) throws IOException {
    return Files.writeString(
        temporary.resolve(name),
        "text,label\n"
            + IntStream.range(0, rows)
                .mapToObj(i -> "%s %d,%s\n".formatted(name, i, label.apply(i)))
                .collect(Collectors.joining()));
  }
}
