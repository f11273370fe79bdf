package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Metric;
import org.prunepeft.model.Models;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.train.Evaluation;

/** Exports of a small Llama that learnt that a letter is answered by the next. */
@FixedSeed("how far a training gets differs from draw to draw")
class LanguageExportTest {
  private static final int THREADS = 2;

  @TempDir static Path temporary;
  private static Path model;
  private static Path pairs;
  private static Path run;
  private static Measured measured;

  /**
   * The test set's numbers, as they are computed: equal only to the last bit.
   *
   * @param logLikelihood the mean of a token
   */
  private record Measured(double loss, double logLikelihood, int examples) {
    static Measured of(Path run) {
      try (TrainedModel trained =
          TrainedModel.load(run, LoadSettings.DEFAULT.withThreads(THREADS))) {
        Evaluation evaluation = trained.evaluate(trained.dataset().test());
        return new Measured(
            evaluation.loss(),
            evaluation.metrics().get(Metric.LOG_LIKELIHOOD),
            evaluation.examples());
      }
    }
  }

  @BeforeAll
  static void train() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    pairs = LetterPairs.write(temporary, 60);
    run = temporary.resolve("run");
    Call.of(
            "train",
            "--modules=random",
            "--keep=0.6",
            "--model=" + model,
            "--train-file=" + pairs,
            "--epochs=2",
            "--batch-size=2",
            "--max-seq-length=24",
            "--learning-rate=0.03",
            "--lora-r=4",
            "--use-rslora",
            "--adapter-size=0",
            "--threads=" + THREADS,
            "--output=" + run)
        .exits(0);
    measured = Measured.of(run);
    assertEquals(LetterPairs.likelihood(run, "test"), measured.logLikelihood);
  }

  private static Path export(String name, String... options) {
    Path directory = temporary.resolve(name);
    Call.of("export", run, "--output=" + directory, options).exits(0);
    return directory;
  }

  private static void importsTheSame(Path export) {
    Path imported = export.resolveSibling(export.getFileName() + "-run");
    Call.of("import", export, "--output=" + imported).exits(0);
    assertFalse(Files.exists(imported.resolve("head.safetensors")));
    assertEquals(measured, Measured.of(imported));
  }

  @Test
  void aPeftAdapterIsImportedWithTheSamePerplexity() throws IOException {
    Path adapter = export("peft", "--format=peft");
    assertTrue(Small.names(adapter).contains("adapter_model.safetensors"));
    assertFalse(Small.names(adapter).contains("head.safetensors"));
    String card = Files.readString(adapter.resolve("README.md"));
    assertTrue(card.contains("pipeline_tag: text-generation"), card);
    assertTrue(card.contains("AutoPeftModelForCausalLM"), card);
    importsTheSame(adapter);
  }

  @Test
  void aPortableAdapterAndOneForLlamaCppHaveTheSamePerplexity() throws IOException {
    importsTheSame(export("portable", "--format=peft", "--portable"));
    Path gguf = export("gguf", "--format=gguf");
    assertEquals(Set.of("adapter.gguf", "README.md", "prunepeft.json"), Small.names(gguf));
    importsTheSame(gguf);
  }

  @Test
  void anAdapterFromElsewhereNeedsItsModelAlone() throws IOException {
    Path adapter = export("elsewhere", "--format=peft");
    Files.delete(adapter.resolve("prunepeft.json"));
    Path imported = temporary.resolve("elsewhere-run");
    Call.of("import", adapter, "--model=" + model, "--output=" + imported).exits(0);
    // PEFT writes null where a LoraConfig was made without a task_type.
    Path config = adapter.resolve("adapter_config.json");
    String text = Files.readString(config);
    assertTrue(text.contains("\"CAUSAL_LM\""), text);
    Files.writeString(config, text.replace("\"CAUSAL_LM\"", "null"));
    Call.of("import", adapter, "--model=" + model, "--output=" + temporary.resolve("no-task"))
        .exits(0);
    List<String> prompt = List.of("--prompt=a:", "--max-new-tokens=3");
    assertEquals(
        Call.of("generate", run, prompt.get(0), prompt.get(1)).exits(0).out(),
        Call.of("generate", imported, prompt.get(0), prompt.get(1)).exits(0).out());
    // It has files to learn from as little as a task.
    String file = "--test-file=" + pairs;
    assertEquals(
        Call.of("evaluate", run, file).exits(0).out(),
        Call.of("evaluate", imported, file).exits(0).out());
    assertEquals(
        Call.of("predict", run, pairs).exits(0).out(),
        Call.of("predict", imported, pairs).exits(0).out());
    Call.of("evaluate", imported)
        .exits(2, "has no data of its own; name a file of texts with --test-file");
  }

  @Test
  void anAdapterFromElsewhereTakesTextsAsLongAsATrainingDoes() throws IOException {
    Path adapter = export("long", "--format=peft");
    Files.delete(adapter.resolve("prunepeft.json"));
    for (int positions : new int[] {300, 1024}) {
      Path longer = Files.createDirectory(temporary.resolve("positions-" + positions));
      for (String name : Small.names(model)) {
        Files.copy(model.resolve(name), longer.resolve(name));
      }
      Path config = longer.resolve("config.json");
      String sizes = Files.readString(config);
      Files.writeString(
          config, sizes.replaceFirst("(\"max_position_embeddings\" *: *)\\d+", "$1" + positions));
      Path imported = temporary.resolve("long-run-" + positions);
      Call.of("import", adapter, "--model=" + longer, "--output=" + imported).exits(0);
      assertEquals(
          Math.min(512, positions),
          new ObjectMapper()
              .readTree(imported.resolve("config.json").toFile())
              .at("/setup/training/maxLength")
              .asInt());
    }
  }

  @Test
  void anImportNeedsTheFilesOfItsModel() throws IOException {
    Path adapter = export("for-no-files", "--format=peft");
    Files.delete(adapter.resolve("prunepeft.json"));
    Models.register(
        new Models.KnownModel(
            "a-program's-own",
            "loaded from no files",
            "this test",
            "none",
            (precision, device) -> {
              throw new IllegalStateException("an import computes nothing");
            }));
    Call.of("import", adapter, "--model=a-program's-own", "-o=" + temporary.resolve("no-files"))
        .exits(2, "an import reads the files of its model, and a-program's-own has none");
  }

  @Test
  void aMergedDirectoryIsALanguageModel() throws IOException {
    Path merged = export("merged", "--merge");
    assertEquals(
        Files.readString(model.resolve("config.json")),
        Files.readString(merged.resolve("config.json")));
    Call.of("generate", merged, "--prompt=a:", "--max-new-tokens=3").exits(0).prints("a:");
    Path onMerged = temporary.resolve("on-merged");
    Call.of(
            "train",
            "--model=" + merged,
            "--train-file=" + pairs,
            "--epochs=1",
            "--max-seq-length=24",
            "--lora-r=1",
            "--adapter-size=0",
            "--threads=" + THREADS,
            "--output=" + onMerged)
        .exits(0);
    // The same texts by the merged model before it is trained. A merged weight is rounded once
    // more,
    // and its product of at most 24 terms and 4 of LoRA's is summed in another order: less than
    // 2 * 28 * 2^-24 of a value for each of the 21 products, one behind the other.
    assertEquals(measured.examples, Small.test(onMerged).get("examples"));
    double merge = LetterPairs.likelihood(onMerged, "head_alone_test");
    assertEquals(measured.logLikelihood, merge, 21 * 2 * 28 * 0x1p-24);
    assertTrue(merge > LetterPairs.likelihood(run, "head_alone_test") + 0.1);
  }

  @Test
  void whatCannotBeExportedIsRefusedAndNothingWritten() {
    Path never = temporary.resolve("never");
    Call.of("export", run, "--format=adapters", "--output=" + never)
        .exits(2, "are written for encoders");
    Call.of("export", run, "--format=onnx", "--output=" + never)
        .exits(2, "ONNX models are written of encoders");
    Call.of("export", run, "--format=gguf", "--portable", "--output=" + never)
        .exits(2, "--portable is for --format peft alone");
    assertFalse(Files.exists(never));
  }
}
