package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.FixedSeed;

/** Searches, trainings, evaluations and predictions on the user's own files, with a tiny model. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class OwnFilesTest {
  @TempDir static Path temporary;
  private static Path model;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
  }

  @Test
  void pairsInACsvFileAreSearchedEvaluatedAndPredicted() throws IOException {
    Path file = temporary.resolve("nli.csv");
    Files.writeString(
        file,
        "id,premise,hypothesis,gold\n"
            + rows(60, i -> "%d,\"the %d, in\",thing %d,%s".formatted(i, i, i, word(i))));
    Path run = temporary.resolve("nli-run");
    call(
            "search",
            run,
            "--train-file=" + file,
            "--sentence1-key=premise",
            "--sentence2-key=hypothesis",
            "--label-column=4",
            "--metric=matthews_correlation,accuracy",
            "--strategy=all",
            "--rounds=1",
            "--round-examples=16")
        .exits(0);
    Map<String, Object> config = RunDirectory.open(run).readJson("config.json");
    assertEquals(List.of("contradiction", "entailment", "neutral"), config.get("labels"));
    assertEquals(2, config.get("text_columns"));
    assertEquals(List.of("matthews_correlation", "accuracy"), config.get("metrics"));
    Map<?, ?> test = Small.test(run);
    assertEquals(6, test.get("examples"));

    Path options = Files.writeString(temporary.resolve("evaluate.yaml"), "split: validation\n");
    Call validation = Call.of("evaluate", run, "--config=" + options).exits(0);
    assertTrue(validation.out().startsWith("validation of nli, 6 examples"), validation.out());
    Call own = Call.of("evaluate", run).exits(0);
    assertTrue(own.out().startsWith("test of nli, 6 examples"), own.out());
    own.prints(
        String.format(Locale.ROOT, "Matthews correlation %.4f", test.get("matthews_correlation")));
    // Other files and columns with the labels of the run.
    Path other = temporary.resolve("other.jsonl");
    Files.writeString(
        other,
        rows(9, i -> "{\"premise\": \"in\", \"b\": \"the\", \"gold\": \"%s\"}".formatted(word(i))));
    Call call =
        Call.of(
                "evaluate",
                run,
                "--test-file=" + other,
                "--text-pair-column=b",
                "--label-column=gold")
            .exits(0);
    assertTrue(call.out().startsWith("test of " + other + ", 9 examples"), call.out());
    Path predicted = temporary.resolve("predicted.tsv");
    Call.of("predict", run, file, "-o", predicted).exits(0);
    assertEquals(61, Files.readAllLines(predicted).size());
    assertEquals("label\tscore\ttext\ttext_pair", Files.readAllLines(predicted).get(0));

    Call.of("predict", run, other).exits(2, "line 1: unknown column 'hypothesis'");
    Path lines = Files.writeString(temporary.resolve("lines.txt"), "a text\n");
    Call.of("predict", run, lines).exits(2, "the run predicts from pairs of texts");
  }

  @Test
  void aDirectoryOfTheHubIsTrainedOnAndEvaluatedOnItsParts() throws IOException {
    Path set = Files.createDirectories(temporary.resolve("hub-set"));
    Files.createDirectories(set.resolve("data"));
    String header = "idx,sentence,label\n";
    Files.writeString(
        set.resolve("data/train.csv"),
        header + rows(60, i -> "%d,the %d,%d".formatted(i, i, i % 2)));
    Files.writeString(
        set.resolve("data/dev.csv"), header + rows(12, i -> "%d,in %d,%d".formatted(i, i, i % 2)));
    Files.writeString(
        set.resolve("data/test.csv"), header + rows(9, i -> "%d,a %d,-1".formatted(i, i)));
    Path run = temporary.resolve("hub-run");
    call("train", run, "--dataset-name=" + set, "--text-column=sentence").exits(0);
    Map<?, ?> result = RunDirectory.open(run).readJson("result.json");
    assertEquals(12, ((Map<?, ?>) result.get("validation")).get("examples"));
    // Its test labels are kept back, so that a tenth of the training file is the test.
    assertEquals(6, ((Map<?, ?>) result.get("test")).get("examples"));
    assertTrue(Call.of("evaluate", run).exits(0).out().startsWith("test of hub-set, 6"));
    call("train", temporary.resolve("never-hub"), "--dataset-config-name=cola")
        .exits(2, "needs --dataset-name");
    call("train", temporary.resolve("never-hub"), "--train-split-name=train")
        .exits(2, "--train-split-name needs --dataset-name");
    Path named = temporary.resolve("named-hub-run");
    call(
            "train",
            named,
            "--dataset-name=" + set,
            "--text-column=sentence",
            "--test-split-name=dev",
            "--train-split-name=train")
        .exits(0);
    assertTrue(Call.of("evaluate", named).exits(0).out().startsWith("test of hub-set, 12"));
    call("train", temporary.resolve("never-hub"), "--dataset-name=" + set, "--test-split-name=tset")
        .exits(2, "unknown part 'tset'");
  }

  @Test
  void regressionOnGivenPartsWithoutAHeaderRunsAgainFromItsConfig() throws IOException {
    for (String part : List.of("train", "dev", "test")) {
      Files.writeString(
          temporary.resolve(part + "-scores.tsv"),
          rows(24, i -> String.format(Locale.ROOT, "%.1f\tthe \"text %d", i / 4.0, i)));
    }
    Path run = temporary.resolve("scores");
    call(
            "train",
            run,
            "--train-file=" + temporary.resolve("train-scores.tsv"),
            "--validation-file=" + temporary.resolve("dev-scores.tsv"),
            "--test-file=" + temporary.resolve("test-scores.tsv"),
            "--header=false",
            "--text-column=2",
            "--label-column=1",
            "--do-regression")
        .exits(0);
    Map<String, Object> result = RunDirectory.open(run).readJson("result.json");
    assertTrue(((Map<?, ?>) result.get("test")).containsKey("pearson"), result.toString());
    Path again = temporary.resolve("scores-again");
    Call.of("train", "--config=" + run.resolve("config.yaml"), "--output=" + again).exits(0);
    assertEquals(result.get("test"), RunDirectory.open(again).readJson("result.json").get("test"));
    Path texts = Files.writeString(temporary.resolve("texts.txt"), "the\n\nthing\n");
    List<String> lines = Call.of("predict", run, texts).exits(0).out().lines().toList();
    assertEquals("value\ttext", lines.get(0));
    // A word after a flag is none of its values.
    Call.of("predict", run, "--proba", texts)
        .exits(2, "--proba has no effect with a run that predicts numbers");
    Call.of("evaluate", run, "--confusion")
        .exits(2, "--confusion is for classes, and the task is a regression; leave it out");
    // The blank line is no text.
    assertEquals(3, lines.size());
    lines.stream().skip(1).forEach(line -> Double.parseDouble(line.split("\t")[0]));
  }

  @Test
  void dataThatHasChangedSinceIsNamed() throws Exception {
    Path file = temporary.resolve("changing.csv");
    Files.writeString(file, "text,label\n" + rows(40, i -> "the %d,%s".formatted(i, word(i))));
    Path run = temporary.resolve("changing-run");
    call("train", run, "--train-file=" + file, "--modules=head").exits(0);
    Map<?, ?> data =
        (Map<?, ?>) ((List<?>) RunDirectory.open(run).readJson("config.json").get("data")).get(0);
    assertEquals(file.toString(), data.get("file"));
    assertEquals((int) Files.size(file), data.get("bytes"));
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    assertEquals(HexFormat.of().formatHex(digest), data.get("sha256"));

    String again = "--config=" + run.resolve("config.yaml");
    String message = file + " is not what the run " + run + " read";
    Call call = Call.of("evaluate", run).exits(0);
    assertFalse(call.err().contains("is not what"), call.err());
    call = Call.of("train", again, "--output=" + temporary.resolve("unchanged")).exits(0);
    assertFalse(call.err().contains("is not what"), call.err());

    Files.writeString(file, Files.readString(file).replace("the 7", "the 8"));
    Call.of("evaluate", run).exits(0, message);
    Call.of("train", again, "--output=" + temporary.resolve("changed")).exits(0, message);
  }

  @Test
  void filesAndTasksAreNotMixed() {
    call("search", temporary.resolve("no"), "--test-file=x.csv")
        .exits(2, "--test-file is for files of your own and needs --train-file");
    call("search", temporary.resolve("no"), "--train-file=x.csv", "--task=wordnet")
        .exits(2, "leave out --task wordnet or --train-file");
    call("search", temporary.resolve("no"), "--train-file=x.csv", "--metric=acc")
        .exits(2, "unknown metric 'acc'");
    call("train", temporary.resolve("no"), "--train-file=x.csv", "--metric=pearson")
        .exits(2, "does not measure a single_label_classification");
    assertFalse(Files.exists(temporary.resolve("no")));
  }

  private static String word(int i) {
    return List.of("entailment", "neutral", "contradiction").get(i % 3);
  }

  private static String rows(int count, java.util.function.IntFunction<String> row) {
    return IntStream.range(0, count).mapToObj(row).collect(Collectors.joining("\n", "", "\n"));
  }

  private static Call call(String command, Path output, String... options) {
    return Call.of(command, "--model=" + model, "--output=" + output, Small.modules(), options);
  }
}
