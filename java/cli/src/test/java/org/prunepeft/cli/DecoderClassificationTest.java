package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Metric;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.train.Predictions;

/** Classification by a small Llama of random weights, whose last token stands for the text. */
@FixedSeed("how far a training gets differs from draw to draw")
class DecoderClassificationTest {
  @TempDir Path temporary;

  @Test
  void aSearchOnTextsAndLabelsEndsWithAModelThatPredictsThem() throws IOException {
    Path model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    Path examples =
        Files.writeString(
            temporary.resolve("examples.csv"),
            IntStream.range(0, 160)
                .mapToObj(i -> "%s,%s%n".formatted(text(i), i % 2 == 0 ? "why" : "zed"))
                .collect(Collectors.joining("", "text,label\n", "")));
    Path run = temporary.resolve("run");
    Call.of(
            "search",
            "--model=" + model,
            "--train-file=" + examples,
            "--rounds=1",
            "--epochs=2",
            "--strategy=authors",
            "--max-seq-length=16",
            "--lora-r=2",
            "--adapter-size=4",
            "--module-per-projection",
            "--threads=2",
            "--output=" + run)
        .exits(0);
    Map<?, ?> setup = (Map<?, ?>) RunDirectory.open(run).readJson("config.json").get("setup");
    assertEquals(
        List.of(
            "query",
            "key",
            "value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
            "gate_proj"),
        ((Map<?, ?>) setup.get("lora")).get("targets"));
    Map<?, ?> tested = (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get("test");
    double accuracy = ((Number) tested.get("accuracy")).doubleValue();
    Call.of("evaluate", run).exits(0).prints("test accuracy " + Metric.ACCURACY.format(accuracy));
    assertTrue(accuracy >= 0.9, () -> "of labels that the last letter tells: " + accuracy);
    Call.of("predict", run, "--text=y z y").exits(0).prints("y z y");
    paddingBehindATextIsNotPartOfIt(run);
    exportsCutTextsWhereTheRunDid(model, examples);
  }

  private void exportsCutTextsWhereTheRunDid(Path model, Path examples) throws IOException {
    Path run = temporary.resolve("head-alone");
    Call.of(
            "train",
            "--model=" + model,
            "--train-file=" + examples,
            "--modules=head",
            "--epochs=1",
            "--max-seq-length=16",
            "--threads=2",
            "--output=" + run)
        .exits(0);
    Path merged = temporary.resolve("merged");
    Call.of("export", run, "--merge", "--output=" + merged).exits(0);
    assertEquals(
        16, RunDirectory.open(merged).readJson("tokenizer_config.json").get("model_max_length"));
    String card = Files.readString(merged.resolve("README.md"));
    assertTrue(card.contains("truncation=True))  # at 16 tokens"), card);
  }

  private static void paddingBehindATextIsNotPartOfIt(Path run) {
    List<String> texts = List.of("y", "z y", "y z y z y z", "zzyz");
    try (TrainedModel model = TrainedModel.load(run)) {
      Predictions together = model.predict(texts);
      for (int i = 0; i < texts.size(); i++) {
        assertArrayEquals(
            model.predict(texts.subList(i, i + 1)).probabilities(0),
            together.probabilities(i),
            1e-4,
            texts.get(i));
      }
    }
  }

  /** The last letter alone tells the label: those before it are the same for both. */
  private static String text(int i) {
    String before = List.of("y", "z", "y z", "z y", "yzzy y", "z yy z").get(i / 2 % 6);
    return "%s %s".formatted(before, i % 2 == 0 ? "y" : "z");
  }
}
