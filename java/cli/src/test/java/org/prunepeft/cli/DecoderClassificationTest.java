package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Metric;
import org.prunepeft.files.RunDirectory;

/** Classification by a small Llama of random weights, whose last token stands for the text. */
class DecoderClassificationTest {
  @TempDir Path temporary;

  @Test
  void aSearchOnTextsAndLabelsEndsWithAModelThatPredictsThem() throws IOException {
    Path model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    Path examples =
        Files.writeString(
            temporary.resolve("examples.csv"),
            IntStream.range(0, 160)
                .mapToObj(i -> "%s,%s%n".formatted(text(i), i % 2 == 0 ? "same" : "other"))
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
    Call.of("predict", run, "--text=a b a").exits(0).prints("a b a");
  }

  /** Ends with its first letter, or with another. */
  private static String text(int i) {
    char first = (char) ('a' + i / 2 % 5);
    return "%s %s %s".formatted(first, "xyz".substring(0, 1 + i % 3), (char) (first + i % 2));
  }
}
