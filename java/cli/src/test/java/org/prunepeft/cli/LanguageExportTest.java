package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Exports of a small Llama that learnt that a letter is answered by the next. */
class LanguageExportTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path run;
  private static String evaluation;

  @BeforeAll
  static void train() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    Path pairs = LetterPairs.write(temporary, 60);
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
            "--threads=2",
            "--output=" + run)
        .exits(0);
    evaluation = evaluated(run);
  }

  /** What evaluate says of the numbers. */
  private static String evaluated(Path run) {
    return Call.of("evaluate", run)
        .exits(0)
        .out()
        .lines()
        .filter(line -> line.contains("log-likelihood"))
        .findFirst()
        .orElseThrow()
        .replaceFirst("^.*(test log-likelihood.*loss [0-9.]+).*$", "$1");
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
    assertEquals(evaluation, evaluated(imported));
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
    List<String> prompt = List.of("--prompt=a:", "--max-new-tokens=3");
    assertEquals(
        Call.of("generate", run, prompt.get(0), prompt.get(1)).exits(0).out(),
        Call.of("generate", imported, prompt.get(0), prompt.get(1)).exits(0).out());
  }

  @Test
  void aMergedDirectoryIsALanguageModel() throws IOException {
    Path merged = export("merged", "--merge");
    assertEquals(
        Files.readString(model.resolve("config.json")),
        Files.readString(merged.resolve("config.json")));
    Call.of("generate", merged, "--prompt=a:", "--max-new-tokens=3").exits(0).prints("a:");
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
