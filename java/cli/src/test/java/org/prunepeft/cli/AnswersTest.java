package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Choices;
import org.prunepeft.data.Example;
import org.prunepeft.data.table.ChoiceFile;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.FixedSeed;

/** A language model is measured by its answers: those that it chooses, and those that it writes. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class AnswersTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path questions;
  private static Path pairs;

  @BeforeAll
  static void write() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    // Answers of one, two and four letters, a token each.
    questions =
        lines(
            "questions.jsonl",
            "{\"question\": \"%1$s\", \"choices\": {\"text\": [\"%2$s\", \"%2$s%1$s\", \"xyxy\"],"
                + " \"label\": [\"A\", \"B\", \"C\"]}, \"answerKey\": \"%3$s\"}%n");
    pairs = lines("pairs.jsonl", "{\"prompt\": \"%1$s:\", \"completion\": \"%2$s\"}%n");
  }

  /** Of each letter there are as many questions; the next letter is the answer. */
  private static Path lines(String name, String line) throws IOException {
    return Files.writeString(
        temporary.resolve(name),
        IntStream.range(0, 120)
            .mapToObj(i -> line.formatted(letter(i), letter(i + 1), i % 3 == 0 ? "B" : "A"))
            .collect(Collectors.joining()));
  }

  /** Of those that the tokenizer puts together with no other. */
  private static char letter(int i) {
    return "cdfgjk".charAt(i % 6);
  }

  private static Call train(Path file, Path run, Object... more) {
    return run("train", file, run, more);
  }

  private static Call run(String command, Path file, Path run, Object... more) {
    return Call.of(
        command,
        "--model=" + model,
        "--train-file=" + file,
        "--epochs=3",
        "--batch-size=2",
        "--max-seq-length=40",
        "--learning-rate=0.03",
        "--lora-r=4",
        "--adapter-size=4",
        "--threads=2",
        "--output=" + run,
        more);
  }

  private static double measured(Path run, String part, String metric) {
    Map<?, ?> measured = (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get(part);
    return ((Number) measured.get(metric)).doubleValue();
  }

  private static String shown(String label, double share) {
    return String.format(Locale.ROOT, "%s %.2f %%", label, 100 * share);
  }

  @Test
  void theMostProbableAnswerIsChosen() {
    Path run = temporary.resolve("questions");
    train(questions, run).exits(0).prints("log-likelihood");
    // Each epoch is not asked for answers, the test part is.
    assertFalse(
        ((Map<?, ?>) RunDirectory.open(run).readJson("result.json").get("validation"))
            .containsKey("accuracy"));
    double accuracy = 0;
    double normalised = 0;
    List<Choices> all = ChoiceFile.read(questions).stream().map(Example::choices).toList();
    try (TrainedModel trained = TrainedModel.load(run)) {
      for (Choices one : all) {
        double[] means = trained.predict(one.texts().stream().map(Example::of).toList()).values();
        int best = 0;
        int bestByLength = 0;
        for (int i = 1; i < means.length; i++) {
          best = sum(one, means, i) > sum(one, means, best) ? i : best;
          bestByLength =
              sum(one, means, i) / one.length(i)
                      > sum(one, means, bestByLength) / one.length(bestByLength)
                  ? i
                  : bestByLength;
        }
        accuracy += best == one.right() ? 1.0 / all.size() : 0;
        normalised += bestByLength == one.right() ? 1.0 / all.size() : 0;
      }
    }
    Call.of("evaluate", run, "--test-file=" + questions)
        .exits(0)
        .prints(
            "120 examples",
            shown("accuracy", accuracy),
            shown("length-normalised accuracy", normalised));
    Call.of("evaluate", run)
        .exits(0)
        .prints(
            shown("accuracy", measured(run, "test", "accuracy")),
            shown("length-normalised accuracy", measured(run, "test", "acc_norm")));
    Call.of("compare", run, run).exits(0);
  }

  /** An answer's letters and the space before it are a token each. */
  private static double sum(Choices question, double[] means, int answer) {
    return means[answer] * (1 + question.length(answer));
  }

  /** The rest of one may be more probable than whole answers. */
  @Test
  void aQuestionWithACutAnswerCountsAsWrong() throws IOException {
    Path longer =
        lines(
            "longer.jsonl",
            "{\"question\": \"%1$s\", \"choices\": {\"text\": [\"%2$s\", \""
                + "xy".repeat(40)
                + "\"], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"A\"}%n");
    Path run = temporary.resolve("cut");
    train(longer, run, "--metric=accuracy")
        .exits(0)
        .says("test questions have an answer that is cut and count as wrong; --max-seq-length");
    assertEquals(0, measured(run, "test", "accuracy"));
    Call.of("evaluate", run)
        .exits(0)
        .says("evaluated questions have an answer that is cut and count as wrong");
  }

  @Test
  void theBestEpochIsChosenByAccuracyIfItIsAskedFor() throws IOException {
    Path run = temporary.resolve("by-accuracy");
    train(questions, run, "--metric=accuracy,perplexity").exits(0).says("validation accuracy ");
    measured(run, "validation", "accuracy");
    assertTrue(Files.readString(run.resolve("config.yaml")).contains("accuracy"));
    String best = "test " + shown("accuracy", measured(run, "test", "accuracy"));
    Call.of("evaluate", run).exits(0).prints(best);
    Path texts = Files.writeString(temporary.resolve("texts.jsonl"), "{\"text\": \"so it goes\"}");
    Call.of("evaluate", run, "--test-file=" + texts)
        .exits(2, "needs questions with answers to choose from");
  }

  @Test
  void whatIsWrittenIsComparedWithTheAnswer() {
    Path run = temporary.resolve("written");
    train(pairs, run, "--metric=exact-match", "--max-new-tokens=3").exits(0);
    List<String> prompts = IntStream.range(0, 6).mapToObj(i -> letter(i) + ":").toList();
    int right = 0;
    for (int i = 0; i < 6; i++) {
      String written =
          Call.of("generate", run, "--prompt=" + prompts.get(i), "--max-new-tokens=3").out();
      right += written.strip().equals(prompts.get(i) + letter(i + 1)) ? 1 : 0;
    }
    assertTrue(right > 0, "no answer is right");
    Call.of("evaluate", run, "--test-file=" + pairs)
        .exits(0)
        .prints("test " + shown("exact match", right / 6.0));
    Call.of("evaluate", run)
        .exits(0)
        .prints("test " + shown("exact match", measured(run, "test", "exact_match")));
    measured(run, "validation", "exact_match");
    Call.of("evaluate", run, "--metric=perplexity").exits(0).prints("(perplexity ");
    Path unwritten = temporary.resolve("unwritten");
    train(pairs, unwritten).exits(0);
    Call.of("compare", run, unwritten)
        .exits(0)
        .prints("exact match was not measured by " + unwritten);
    Call.of("compare", unwritten, run).exits(0);
  }

  @Test
  void searchesReportTheMetricOfAnswersOfTheTestPart() {
    Path run = temporary.resolve("search");
    run(
            "search",
            questions,
            run,
            "--metric=acc-norm",
            "--warm-up-turns=1",
            "--warm-up-examples=8",
            "--warm-up-epochs=1",
            "--rounds=2",
            "--round-examples=12")
        .exits(0)
        .prints(
            "test " + shown("length-normalised accuracy", measured(run, "test", "acc_norm")),
            "without modules ");
  }

  @Test
  void measuredSearchesMeasureAnswersThatAreChosen() throws IOException {
    Path chosen = temporary.resolve("measured-choices");
    measuredSearch(questions, chosen, "accuracy").exits(0);
    String summary = Files.readString(chosen.resolve("summary.md"));
    assertTrue(summary.contains("A point is a hundredth of accuracy."), summary);
    Map<?, ?> found = (Map<?, ?>) RunDirectory.open(chosen).readJson("measured.json");
    double examples = ((Number) found.get("confirmation_examples")).doubleValue();
    List<?> subsets = (List<?>) found.get("measured");
    assertFalse(subsets.isEmpty());
    for (Object subset : subsets) {
      double right = ((Number) ((Map<?, ?>) subset).get("confirmation")).doubleValue() * examples;
      assertTrue(right >= 0 && right <= examples, () -> right + " of " + examples);
      assertEquals(Math.rint(right), right, 1e-4);
    }
    Path written = temporary.resolve("measured-texts");
    measuredSearch(pairs, written, "exact_match")
        .exits(0)
        .prints(shown("exact match", measured(written, "test", "exact_match")));
    summary = Files.readString(written.resolve("summary.md"));
    assertTrue(summary.contains("A point is a hundredth of the log-likelihood"), summary);
  }

  private static Call measuredSearch(Path file, Path run, String metric) {
    return run(
        "search",
        file,
        run,
        "--metric=" + metric,
        metric.equals("exact_match") ? List.of("--max-new-tokens=3") : List.of(),
        "--strategy=measured",
        "--packing=false",
        "--validation-examples=32",
        "--supernet-examples=32",
        "--supernet-epochs=1",
        "--measured-examples=32",
        "--subsets=24");
  }

  @Test
  void answersNeedPrompts() throws IOException {
    String text = "{\"text\": \"so it goes\"}\n";
    Path texts = Files.writeString(temporary.resolve("plain.jsonl"), text.repeat(30));
    train(texts, temporary.resolve("none"), "--metric=exact_match")
        .exits(2, "exact match needs texts that begin with a prompt");
    train(texts, temporary.resolve("none"), "--metric=accuracy")
        .exits(2, "accuracy of a language model needs questions");
  }
}
