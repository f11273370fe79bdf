package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.Endless;
import org.prunepeft.testing.FixedSeed;

/** GLUE's nine tasks from files of their shape, with a tiny model. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class GlueTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path glue;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
    glue = temporary.resolve("glue");
    GlueFiles.write(glue);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "sst2 | SST-2 | 0,1 | accuracy",
        "mrpc | MRPC | 0,1 | accuracy_and_f1,accuracy,f1",
        "stsb | STS-B | | pearson_and_spearmanr,pearson,spearmanr",
        "qqp | QQP | 0,1 | accuracy_and_f1,accuracy,f1",
        "mnli | MNLI-m | entailment,neutral,contradiction | accuracy",
        "qnli | QNLI | entailment,not_entailment | accuracy",
        "rte | RTE | entailment,not_entailment | accuracy",
        "wnli | WNLI | 0,1 | accuracy",
      })
  void taskIsTrainedMeasuredAndSubmitted(String task, String name, String labels, String metrics)
      throws IOException {
    Path run = temporary.resolve(task);
    call("train", run, "--task=" + task, "--data=" + glue, "--modules=head").exits(0);
    Map<String, Object> config = RunDirectory.open(run).readJson("config.json");
    List<String> expected = labels == null ? List.of() : List.of(labels.split(","));
    assertEquals(expected, config.get("labels"));
    Map<?, ?> test = Small.test(run);
    assertEquals(GlueFiles.DEVELOPMENT, test.get("examples"));
    assertEquals(List.of(("examples,loss," + metrics).split(",")), List.copyOf(test.keySet()));

    Path sent = temporary.resolve("sent-" + task);
    Call predicted = Call.of("predict", run, "--submission=" + sent).exits(0);
    assertTrue(predicted.out().startsWith("wrote " + sent), predicted.out());
    assertEquals(
        task.equals("mnli") ? Set.of("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv") : Set.of(name + ".tsv"),
        Small.names(sent));
    List<String> lines = Files.readAllLines(sent.resolve(name + ".tsv"));
    assertEquals("index\tprediction", lines.get(0));
    assertEquals(GlueFiles.TEST + 1, lines.size());
    for (int i = 0; i < GlueFiles.TEST; i++) {
      String[] cells = lines.get(i + 1).split("\t");
      assertEquals("" + i, cells[0]);
      if (labels == null) {
        double score = Double.parseDouble(cells[1]);
        assertTrue(score >= 0 && score <= 5, lines.toString());
      } else {
        assertTrue(expected.contains(cells[1]), lines.toString());
      }
    }
    // What is sent is what predict says of the same file.
    if (labels != null) {
      Path file = glue.resolve(name.replaceFirst("-m$", ""));
      file = file.resolve(task.equals("mnli") ? "test_matched.tsv" : "test.tsv");
      List<String> said = Call.of("predict", run, file).exits(0).out().lines().toList();
      for (int i = 1; i < lines.size(); i++) {
        assertEquals(said.get(i).split("\t")[0], lines.get(i).split("\t")[1]);
      }
    }
  }

  @Test
  void colaIsSearchedFromItsOwnDirectory() throws IOException {
    Path run = temporary.resolve("cola");
    call(
            "search",
            run,
            "--task=cola",
            "--data=" + glue.resolve("CoLA"),
            "--strategy=all",
            "--rounds=1",
            "--round-examples=16")
        .exits(0);
    Map<?, ?> test = Small.test(run);
    assertTrue(test.containsKey("matthews_correlation"), test.toString());
    Path sent = temporary.resolve("sent-cola");
    Call predicted = Call.of("predict", run, "--submission=" + sent).exits(0);
    assertTrue(predicted.out().startsWith("wrote " + sent), predicted.out());
    assertEquals(GlueFiles.TEST + 1, Files.readAllLines(sent.resolve("CoLA.tsv")).size());
    Path again = temporary.resolve("cola-again");
    Call.of("search", "--config=" + run.resolve("config.yaml"), "--output=" + again).exits(0);
    assertEquals(test, RunDirectory.open(again).readJson("result.json").get("test"));
  }

  @Test
  void mnliIsEvaluatedOnTheOtherGenres() {
    Path run = temporary.resolve("mnli-genres");
    call("train", run, "--task=mnli", "--data=" + glue, "--modules=head").exits(0);
    Call call = Call.of("evaluate", run, "--task=mnli_mismatched").exits(0);
    assertTrue(
        call.out()
            .startsWith(
                "test of mnli_mismatched, %d examples".formatted(GlueFiles.DEVELOPMENT + 3)),
        call.out());
    Call.of("evaluate", run, "--task=rte").exits(2, "but task rte is a classification");
    Call.of("evaluate", run, "--data=" + temporary.resolve("moved"))
        .exits(1, "there is no train.tsv in");
  }

  @Test
  void aSubmissionThatFailsLeavesNothingOfItself() throws IOException {
    Path run = temporary.resolve("mnli-fails");
    Path damaged = temporary.resolve("damaged");
    GlueFiles.write(damaged);
    call("train", run, "--task=mnli", "--data=" + damaged, "--modules=head").exits(0);
    Files.writeString(
        damaged.resolve("MNLI/test_mismatched.tsv"), "99\n", StandardOpenOption.APPEND);
    Path sent = temporary.resolve("never").resolve("sent");
    Call.of("predict", run, "--submission=" + sent)
        .exits(1, "test_mismatched.tsv, line " + (GlueFiles.TEST + 2));
    assertFalse(Files.exists(sent.getParent()));

    Path earlier = Files.createDirectories(temporary.resolve("sent-earlier"));
    Files.writeString(earlier.resolve("MNLI-m.tsv"), "earlier");
    Call.of("predict", run, "--submission=" + earlier).exits(1);
    assertEquals(Set.of("MNLI-m.tsv"), Small.names(earlier));
    assertEquals("earlier", Files.readString(earlier.resolve("MNLI-m.tsv")));

    // Nor does it replace what is predicted.
    Path links = Files.createDirectories(temporary.resolve("sent-links"));
    Path source = damaged.resolve("MNLI/test_matched.tsv");
    Path link = Files.createSymbolicLink(links.resolve("MNLI-m.tsv"), source);
    String texts = Files.readString(source);
    Call.of("predict", run, "--submission=" + links).exits(2, link + " is a file that");
    assertEquals(texts, Files.readString(source));
  }

  @Test
  void textsAndLabelsAreThoseOfTheRightColumns() {
    Dataset cola = load("cola");
    assertTrue(cola.test().get(2).text().equals("the thing \"2 in it"), cola.test().toString());
    assertEquals(1, cola.test().get(2).label());
    Dataset mrpc = load("mrpc");
    assertEquals("He said \"the 3", mrpc.test().get(3).text());
    assertEquals("the thing \"3 in it", mrpc.test().get(3).pair());
    Dataset similarity = load("stsb");
    assertEquals(2.5, similarity.test().get(5).target());
    assertEquals("the", similarity.test().get(5).pair());
    Dataset mnli = load("mnli");
    assertEquals(List.of(1, 2, 0), mnli.test().subList(0, 3).stream().map(e -> e.label()).toList());
    // A tenth of the training set is for validation.
    assertEquals(GlueFiles.TRAIN / 10, mnli.validation().size());
    assertEquals(GlueFiles.TRAIN - GlueFiles.TRAIN / 10, mnli.train().size());
  }

  @Test
  void rowsOfQqpThatAreBrokenOffAreLeftOutAndOthersRefused() throws IOException {
    Path broken = temporary.resolve("broken");
    GlueFiles.write(broken);
    Files.writeString(
        broken.resolve("QQP/train.tsv"), "99\t1\t2\twhy\n", StandardOpenOption.APPEND);
    assertEquals(
        GlueFiles.TRAIN,
        Stream.of(Tasks.byName("qqp").at(broken).load(SplitSizes.UNSPECIFIED, 0, 0))
            .mapToInt(data -> data.train().size() + data.validation().size())
            .sum());
    Files.writeString(broken.resolve("RTE/train.tsv"), "99\t1\t2\n", StandardOpenOption.APPEND);
    Path run = temporary.resolve("never");
    call("search", run, "--task=rte", "--data=" + broken)
        .exits(
            1,
            "train.tsv, line %d: a row must have as many columns as the first, 4, got 3"
                .formatted(GlueFiles.TRAIN + 2));
    assertFalse(Files.exists(run));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "search --task cola | task cola is read from GLUE's files; name the directory",
        "search --task wordnet --data /tmp | task wordnet is not read from a directory",
        "search --task colla --data /tmp | unknown task 'colla'; did you mean cola?",
        "predict /tmp | name one of the three",
        "predict /tmp x.txt --submission sent | name one of the three",
        "predict /tmp x.txt --data sent | --data is for --submission",
        "evaluate /tmp --test-file x.csv --data y | goes with neither --task nor --data",
      })
  void wrongUseIsNamed(String line, String message) {
    Path run = temporary.resolve("wrong");
    String[] words = line.split(" ");
    Call call =
        words[0].equals("search")
            ? Call.of(
                Stream.concat(Stream.of(words), Stream.of("--output=" + run))
                    .toArray(String[]::new))
            : Call.of(words);
    call.exits(2);
    call.says(message);
    assertFalse(Files.exists(run));
  }

  private static Dataset load(String task) {
    return Tasks.byName(task).at(glue).load(SplitSizes.UNSPECIFIED, 0, 0);
  }

  private static Call call(String command, Path output, String... options) {
    return Call.of(command, "--model=" + model, "--output=" + output, Small.modules(), options);
  }

  @ParameterizedTest
  @EnumSource
  void whatHasNoEndIsRefusedByItsName(Endless endless) throws IOException {
    Path file = glue.resolve("CoLA/train.tsv");
    var e = endless.read(file, () -> assertThrows(DataException.class, () -> load("cola")));
    assertTrue(e.getMessage().startsWith(file + " is a device, a FIFO"), e.getMessage());
  }
}
