package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.FixedSeed;

/** A small Llama with quantised weights that learns that a letter is answered by the next. */
@FixedSeed("how far a training gets differs from draw to draw")
class QuantizedRunTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path pairs;

  @BeforeAll
  static void write() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    pairs = LetterPairs.write(temporary, 60);
  }

  private static List<String> options(Path model, Path output) {
    return List.of(
        "--model=" + model,
        "--train-file=" + pairs,
        "--epochs=2",
        "--batch-size=2",
        "--max-seq-length=24",
        "--learning-rate=0.03",
        "--lora-r=4",
        "--threads=2",
        "--output=" + output);
  }

  private static String metric(double likelihood) {
    return String.format(
        Locale.ROOT,
        "test log-likelihood %.4f (perplexity %.3f), loss %.4f",
        likelihood,
        Math.exp(-likelihood),
        -likelihood);
  }

  @ParameterizedTest
  @ValueSource(strings = {"int8", "nf4"})
  void aRunIsLoadedAsItWasTrained(String type) throws IOException {
    Path run = temporary.resolve("train-" + type);
    Call.of("train", options(model, run), "--quantize=" + type, "--adapter-size=4").exits(0);
    String config = Files.readString(run.resolve("config.json"));
    assertTrue(config.contains("\"quantization\" : \"" + type + "\""), config);
    double tested = LetterPairs.likelihood(run, "test");
    assertTrue(tested > LetterPairs.likelihood(run, "head_alone_test") + 0.5);
    Call.of("evaluate", run).exits(0).prints(metric(tested));
    Call.of("predict", run, "--text=a:b").exits(0).prints("log_likelihood\ttext");
    Call.of("generate", run, "--prompt=a:", "--max-new-tokens=3").exits(0).prints("a:");
    Call.of("generate", run, "--prompt=a:", "--quantize=none")
        .exits(2, "a run has a quantization of its own; leave out --quantize");
  }

  @Test
  void aSearchPrunesModulesOfAQuantisedDecoder() {
    Path run = temporary.resolve("search");
    Call.of(
            "search",
            options(model, run),
            "--quantize=nf4",
            "--adapter-size=4",
            "--warm-up-turns=1",
            "--warm-up-examples=8",
            "--warm-up-epochs=1",
            "--rounds=2",
            "--round-examples=12")
        .exits(0)
        .prints("round 1", "search ");
    assertTrue(
        LetterPairs.likelihood(run, "test") > LetterPairs.likelihood(run, "head_alone_test"));
  }

  /** What is merged is the value that the quantised weight has, as the run computed with it. */
  @Test
  void exportsAreOfTheQuantisedWeights() {
    Path run = temporary.resolve("dora");
    Call.of("train", options(model, run), "--quantize=nf4", "--use-dora", "--adapter-size=0")
        .exits(0);
    double tested = LetterPairs.likelihood(run, "test");
    Path merged = temporary.resolve("merged");
    Call.of("export", run, "--merge", "--output=" + merged).exits(0);
    Path again = temporary.resolve("again");
    Call.of("train", options(merged, again), "--modules=lora", "--adapter-size=0").exits(0);
    assertEquals(tested, LetterPairs.likelihood(again, "head_alone_test"), 1e-4);

    Path adapter = temporary.resolve("peft");
    Call.of("export", run, "--format=peft", "--output=" + adapter).exits(0);
    Path imported = temporary.resolve("imported");
    Call.of("import", adapter, "--output=" + imported).exits(0);
    Call.of("evaluate", imported).exits(0).prints(metric(tested));
  }

  @Test
  void aPretrainedModelIsQuantisedWhereItIsAskedFor() {
    Call.of("generate", model, "--prompt=so it goes", "--max-new-tokens=2", "--quantize=int8")
        .exits(0)
        .prints("so it goes");
  }

  @Test
  void whatTrainsTheWeightsThemselvesIsRefused() {
    Path never = temporary.resolve("never");
    Call.of("train", options(model, never), "--quantize=int8", "--modules=full")
        .exits(2, "which can't be done in int8; leave out --quantize");
    Call.of("train", "--quantize=fp4").exits(2, "one of auto, none, int8, nf4");
    assertFalse(Files.exists(never));
  }
}
