package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.FixedSeed;

/** Predictions of a head on a tiny model, in every form. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class PredictTest {
  @TempDir static Path temporary;
  private static Path run;

  @BeforeAll
  static void train() throws IOException {
    Path file = temporary.resolve("train.csv");
    Files.writeString(
        file,
        IntStream.range(0, 40)
            .mapToObj(i -> "the thing %d,%s\n".formatted(i, i % 2 == 0 ? "good" : "bad"))
            .collect(Collectors.joining("", "text,label\n", "")));
    run = temporary.resolve("run");
    Path model = Small.model(temporary);
    Call.of(
            "train",
            "--model=" + model,
            "--train-file=" + file,
            "--modules=head",
            "--output=" + run,
            Small.modules())
        .exits(0);
  }

  @Test
  void whatHasNoEffectIsRefusedAndSoAreBlankTexts() throws IOException {
    Path file = Files.writeString(temporary.resolve("one.csv"), "text\na thing\n");
    Call.of("predict", run, file, "--text-pair=a thing").exits(2, "--text-pair goes with --text");
    Call.of("predict", run, "--text= ").exits(2, "--text must have words to predict from, got ' '");
    Call.of("predict", run, "--text=a", "--text-pair=")
        .exits(2, "--text-pair must have words to predict from, got ''");
    Path blank = Files.writeString(temporary.resolve("blank.csv"), "nr,text\n1,a thing\n2, \n");
    Call.of("predict", run, blank).exits(2, blank + ", line 3 must have words to predict from");
    Call.of("evaluate", run, "--test-file=" + file, "--split=train")
        .exits(2, "--split has no effect with --test-file");
  }

  @Test
  void aDirectoryOfSeedsIsNoRunAndItsRunsAreNamed() throws IOException {
    Path seeds = temporary.resolve("seeds");
    Call.of(
            "train",
            "--model=" + temporary.resolve("tiny-roberta"),
            "--train-file=" + temporary.resolve("train.csv"),
            "--modules=head",
            "--seeds=3,4",
            "--output=" + seeds,
            Small.modules())
        .exits(0);
    Path one = seeds.resolve("seed-3");
    Call.of("predict", seeds, "--text=a thing")
        .exits(
            1,
            "%s is no run but holds several; name one of them: %s, %s"
                .formatted(seeds, one, seeds.resolve("seed-4")));
    assertEquals(2, Call.of("predict", one, "--text=a thing").exits(0).out().lines().count());
  }

  private static Path file(String name, String content) throws IOException {
    return Files.writeString(temporary.resolve(name), content);
  }

  private static List<String> predicted(Object... words) {
    return Call.of("predict", run, words).exits(0).out().lines().toList();
  }

  @Test
  void aTextOnTheCommandLineIsPredictedLikeOneInAFile() throws IOException {
    Path texts = file("two.txt", "a thing\nin, the other\n");
    List<String> lines = predicted(texts);
    assertEquals("label\tscore\ttext", lines.get(0));
    assertTrue(lines.get(2).matches("(good|bad)\t[01]\\.\\d{6}\tin, the other"), lines.get(2));
    assertEquals(lines, predicted("--text", "a thing", "--text=in, the other"));
    Call.of("predict", run, texts, "--text=x").exits(2, "name one of the three");
    Call.of("predict", run, "--text=x", "--text-pair=y").exits(2, "predicts from single texts");
    Call.of("predict", run, "--text=x", "--id-column=id").exits(2, "has no columns");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "blank.txt | a thing~~  ~the other~~",
        "blank.tsv | text~a thing~~the other~~",
        "blank.csv | text~a thing~~the other~~",
        "blank.jsonl | {\"text\": \"a thing\"}~~  ~{\"text\": \"the other\"}~",
      })
  void blankLinesAreNoTextsInAnyFormat(String name, String content) throws IOException {
    Path texts = file(name, content.replace('~', '\n'));
    assertEquals(predicted("--text=a thing", "--text=the other"), predicted(texts));
  }

  @Test
  void aCsvFileQuotesWhatHasToBeAndReadsBack() throws IOException {
    String cell = "\"one, \"\"two\"\"\nthree\"";
    Path texts = file("quoted.csv", "text\n" + cell + "\nplain\n");
    Path output = temporary.resolve("labels.csv");
    Call.of("predict", run, texts, "-o", output).exits(0);
    String written = Files.readString(output);
    assertTrue(written.startsWith("label,score,text\n"), written);
    assertTrue(written.contains("," + cell + "\n"), written);
    // Its own columns are texts again.
    assertEquals(3, predicted(output).size());
    Call.of("predict", run, texts, "-o", temporary.resolve("labels.parquet"))
        .exits(2, "not as Parquet");
    Call.of("predict", run, texts, "-o", temporary.resolve("labels.csv.gz"))
        .exits(2, "name a file without .gz");
    assertFalse(Files.exists(temporary.resolve("labels.parquet")));
  }

  @Test
  void anIdStandsInPlaceOfTheText() throws IOException {
    Path texts = file("ids.csv", "nr,text\n7,a thing\nx 8,the other\n");
    List<String> lines = predicted(texts, "--id-column=nr");
    assertEquals("label\tscore\tid", lines.get(0));
    assertEquals(
        List.of("7", "x 8"), lines.stream().skip(1).map(line -> line.split("\t")[2]).toList());
    JsonNode object =
        new JsonMapper().readTree(predicted(texts, "--id-column=1", "--format=jsonl").get(1));
    assertEquals("x 8", object.get("id").asText());
    assertFalse(object.has("text"));
    Call.of("predict", run, texts, "--id-column=no").exits(2, "unknown column 'no'");
  }

  @Test
  void theProbabilityOfEachLabelIsWrittenWhenAskedFor() throws IOException {
    List<String> lines = predicted("--text=a thing", "--proba", "--format=csv");
    assertEquals("label,score,bad,good,text", lines.get(0));
    String[] cells = lines.get(1).split(",");
    double bad = Double.parseDouble(cells[2]);
    double good = Double.parseDouble(cells[3]);
    assertEquals(1, bad + good, 2e-6);
    assertEquals(Math.max(bad, good), Double.parseDouble(cells[1]));
    JsonNode one = new JsonMapper().readTree(predicted("--text=a thing", "--format=jsonl").get(0));
    assertFalse(one.has("probabilities"));
    assertEquals("a thing", one.get("text").asText());
  }
}
