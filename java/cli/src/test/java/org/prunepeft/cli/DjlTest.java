package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Example;
import org.prunepeft.testing.EndedProcess;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.train.Predictions;

/**
 * DJL computes exports as the run does. Its engine must be the first in a process to start ONNX
 * Runtime, so each program has one of its own.
 */
@FixedSeed("the weights are a prop: OnnxModelTest draws them")
class DjlTest {
  private static final List<String> TEXTS =
      List.of(
          "the thing", "a", "or in the other thing", "the other thing in a thing or ".repeat(12));

  @TempDir static Path temporary;
  private static TextRuns runs;

  @BeforeAll
  static void write() throws IOException {
    runs =
        TextRuns.write(
            temporary,
            i -> String.join(" ", List.of("the", "thing", "in", "other").subList(0, 1 + i % 4)),
            i -> i % 2 == 0 ? "even" : "odd");
  }

  /** What a program prints; it reports its use to nobody. */
  private static List<String> lines(Class<?> program, Path export, List<String> texts)
      throws IOException, InterruptedException {
    List<String> arguments = new ArrayList<>(List.of(program.getName(), export.toString()));
    arguments.addAll(texts);
    List<String> command =
        Child.java(
            List.of("-Dai.djl.offline=true"), System.getProperty("java.class.path"), arguments);
    Path errors = temporary.resolve("errors");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
    builder.environment().put("OPT_OUT_TRACKING", "true");
    EndedProcess ended = EndedProcess.of(builder, Child.LIMIT);
    assertEquals(0, ended.exitValue(), Child.text(errors));
    return ended.text().lines().toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {TextRuns.ROBERTA, TextRuns.BERT})
  void textsAreClassifiedAlike(String model) throws IOException, InterruptedException {
    classifies(DjlTexts.class, model);
  }

  @ParameterizedTest
  @ValueSource(strings = {TextRuns.ROBERTA, TextRuns.BERT})
  void itsOwnTranslatorClassifiesTextsAlike(String model) throws IOException, InterruptedException {
    assumeTrue(secondEngine(), "DJL's PyTorch engine is not on the class path: mvn -Pdjl");
    classifies(DjlTranslator.class, model);
  }

  private static boolean secondEngine() {
    return DjlTest.class.getResource("/ai/djl/pytorch/engine/PtEngine.class") != null;
  }

  /** As a run does of one of the models. */
  private static void classifies(Class<?> program, String model)
      throws IOException, InterruptedException {
    String name = program.getSimpleName() + "-" + model;
    Path run = runs.train(model, name, "--label-column=label");
    List<String> lines = lines(program, runs.export(run, name + "-onnx"), TEXTS);
    assertEquals(TEXTS.size(), lines.size());
    try (TrainedModel trained = TrainedModel.load(run)) {
      for (int i = 0; i < TEXTS.size(); i++) {
        Map<String, Double> theirs = new LinkedHashMap<>();
        String[] words = lines.get(i).split(" ");
        for (int k = 0; k < words.length; k += 2) {
          theirs.put(words[k], Double.valueOf(words[k + 1]));
        }
        Map<String, Double> ours = trained.predict(TEXTS.get(i)).probabilities();
        assertEquals(ours.keySet(), theirs.keySet());
        for (String label : ours.keySet()) {
          assertEquals(ours.get(label), theirs.get(label), 1e-4, TEXTS.get(i) + ": " + label);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {TextRuns.ROBERTA, TextRuns.BERT})
  void pairsAreScoredAlikeInOneBatch(String model) throws IOException, InterruptedException {
    String name = "pairs-" + model;
    Path run =
        runs.train(
            model,
            name,
            "--label-column=number",
            "--do-regression",
            "--text-pair-column=second",
            "--pair-encoding=joint");
    List<String> both =
        TEXTS.stream().flatMap(text -> List.of(text, "in " + text).stream()).toList();
    double[] theirs =
        lines(DjlPairs.class, runs.export(run, name + "-onnx"), both).stream()
            .mapToDouble(line -> Double.parseDouble(line.substring(1, line.length() - 1)))
            .toArray();
    try (TrainedModel trained = TrainedModel.load(run)) {
      Predictions ours =
          trained.predict(
              TEXTS.stream()
                  .map(text -> new Example(text, "in " + text, Example.UNLABELLED))
                  .toList());
      assertArrayEquals(ours.values(), theirs, 1e-4, Arrays.toString(theirs));
    }
  }
}
