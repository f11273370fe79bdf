package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;

/** Exports of small trainings on MiniLM and WordNet. */
class ExportTest {
  @TempDir static Path temporary;
  private static Path lora;
  private static Path both;

  @BeforeAll
  static void train() {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    lora = train("lora", "--adapter-size=0", "--lora-r=4", "--lora-alpha=12");
    both = train("both", "--adapter-size=7", "--lora-r=4", "--keep=0.7");
  }

  private static Path train(String name, String... options) {
    Path output = temporary.resolve(name);
    Call.of("train", "--modules=random", Small.examples(32), "--output=" + output, options)
        .exits(0);
    return output;
  }

  @Test
  void peftFilesHoldTheTrainedWeightsUnderPeftsKeys() throws IOException {
    Path adapter = temporary.resolve("peft");
    Call.of("export", lora, "--format=peft", "--output=" + adapter)
        .exits(0)
        .prints(adapter.toString());
    assertEquals(
        Set.of("adapter_config.json", "adapter_model.safetensors", "prunepeft.json"),
        Small.names(adapter));
    var config = RunDirectory.open(adapter).readJson("adapter_config.json");
    assertEquals(4, config.get("r"));
    assertEquals(12, config.get("lora_alpha"));
    assertEquals("sentence-transformers/all-MiniLM-L6-v2", config.get("base_model_name_or_path"));
    try (SafeTensors ours = SafeTensors.open(lora.resolve("adapter.safetensors"));
        SafeTensors head = SafeTensors.open(lora.resolve("head.safetensors"));
        SafeTensors theirs = SafeTensors.open(adapter.resolve("adapter_model.safetensors"))) {
      Set<String> expected = new TreeSet<>(Set.of("base_model.model.classifier.weight"));
      expected.add("base_model.model.classifier.bias");
      for (String name : ours.names()) {
        String key = "base_model.model.bert." + name;
        expected.add(key);
        assertArrayEquals(ours.bytes(name), theirs.bytes(key), key);
      }
      assertEquals(expected, new TreeSet<>(theirs.names()));
      assertArrayEquals(
          head.bytes("classifier.weight"), theirs.bytes("base_model.model.classifier.weight"));
    }
  }

  @Test
  void adaptersFilesHoldLoraAndSerialAdaptersTogether() throws IOException {
    Path adapter = temporary.resolve("adapters");
    Call.of("export", both, "--format=adapters", "--output=" + adapter).exits(0);
    assertEquals(
        Set.of(
            "adapter_config.json",
            "adapter.safetensors",
            "head_config.json",
            "model_head.safetensors",
            "prunepeft.json"),
        Small.names(adapter));
    try (SafeTensors ours = SafeTensors.open(both.resolve("adapter.safetensors"));
        SafeTensors theirs = SafeTensors.open(adapter.resolve("adapter.safetensors"))) {
      for (String name : ours.names()) {
        String key =
            "bert."
                + name.replace(".output.adapter.", ".output.adapters.prunepeft.")
                    .replaceAll("\\.lora_([AB])\\.weight", ".loras.prunepeft.lora_$1");
        assertArrayEquals(ours.bytes(name), theirs.bytes(key), key);
      }
      assertEquals(ours.names().size(), theirs.names().size());
    }
  }

  @Test
  void aMergedModelIsAPlainDirectoryThatTrainsOn() throws IOException {
    Path model = temporary.resolve("merged");
    Call.of("export", lora, "--merge", "--output=" + model).exits(0);
    assertEquals(
        Set.of(
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "head.safetensors",
            "prunepeft.json"),
        Small.names(model));
    // The frozen encoder now gives what the modules had learned.
    Path head = temporary.resolve("merged-head");
    Call.of("train", "--model=" + model, "--modules=head", Small.examples(32), "--output=" + head)
        .exits(0);
    Path refused = temporary.resolve("unmerged");
    Call.of("export", both, "--merge", "--output=" + refused)
        .exits(2, "are not linear", "search with --adapter-size 0");
    assertFalse(Files.exists(refused));
    Call.of("export", lora, "--output=" + refused).exits(2, "--format=FORMAT | --merge");
  }

  @Test
  void whatAFormatCannotHoldIsRefusedAndNothingIsWritten() {
    Path adapter = temporary.resolve("refused");
    Call.of("export", both, "--format=peft", "--output=" + adapter)
        .exits(2, "--format adapters holds both");
    assertFalse(Files.exists(adapter));
  }

  @Test
  void unknownFormatsAndRunsAreRefused() {
    Path adapter = temporary.resolve("unknown");
    Call.of("export", lora, "--format=zip", "--output=" + adapter)
        .exits(2, "unknown format 'zip'; there are peft, adapters and onnx");
    Path none = temporary.resolve("none");
    Call.of("export", none, "--format=peft", "--output=" + adapter)
        .exits(1, none + " does not exist");
    assertFalse(Files.exists(adapter));
  }
}
