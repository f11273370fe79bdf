package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.FixedSeed;

/** Exports of small trainings on MiniLM and WordNet. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class ExportTest {
  /** The beginning of a text in JSON or YAML; a tokenizer has a slash alone. */
  private static final Pattern ABSOLUTE = Pattern.compile("[\"' ]/\\w+/");

  @TempDir static Path temporary;
  private static Path lora;
  private static Path both;

  /** Of a model in a directory, on the user's texts. */
  private static Path ownFiles;

  @BeforeAll
  static void train() throws IOException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    lora = train("lora", "--adapter-size=0", "--lora-r=4", "--lora-alpha=12");
    both = train("both", "--adapter-size=7", "--lora-r=4", "--keep=0.7");
    TextRuns runs =
        TextRuns.write(temporary, i -> "the thing " + i, i -> i % 2 == 0 ? "even" : "odd");
    ownFiles =
        runs.train(
            TextRuns.ROBERTA,
            "own-files",
            "--label-column=label",
            "--modules=random",
            "--adapter-size=0");
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
        Set.of(
            "adapter_config.json",
            "adapter_model.safetensors",
            "head.safetensors",
            "README.md",
            "tokenizer.json",
            "tokenizer_config.json",
            "prunepeft.json"),
        Small.names(adapter));
    var config = RunDirectory.open(adapter).readJson("adapter_config.json");
    assertEquals(4, config.get("r"));
    assertEquals(12, config.get("lora_alpha"));
    assertEquals("sentence-transformers/all-MiniLM-L6-v2", config.get("base_model_name_or_path"));
    try (SafeTensors ours = SafeTensors.open(lora.resolve("adapter.safetensors"));
        SafeTensors theirs = SafeTensors.open(adapter.resolve("adapter_model.safetensors"))) {
      Set<String> expected = new TreeSet<>();
      for (String name : ours.names()) {
        String key = "base_model.model." + name;
        expected.add(key);
        assertArrayEquals(ours.bytes(name), theirs.bytes(key), key);
      }
      assertEquals(expected, new TreeSet<>(theirs.names()));
    }
    assertEquals(
        -1, Files.mismatch(lora.resolve("head.safetensors"), adapter.resolve("head.safetensors")));
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
            "README.md",
            "tokenizer.json",
            "tokenizer_config.json",
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
            "modeling_mean_pooled.py",
            "README.md",
            "prunepeft.json"),
        Small.names(model));
    String card = Files.readString(model.resolve("README.md"));
    assertTrue(card.contains("base_model_relation: finetune\nlibrary_name: transformers\n"), card);
    // The frozen encoder now gives what the modules had learned.
    Path head = temporary.resolve("merged-head");
    Call.of("train", "--model=" + model, "--modules=head", Small.examples(32), "--output=" + head)
        .exits(0);
    Path refused = temporary.resolve("unmerged");
    Call.of("export", both, "--merge", "--output=" + refused)
        .exits(2, "are not linear", "search with --adapter-size 0");
    assertFalse(Files.exists(refused));
    Call.of("export", lora, "--output=" + refused).exits(2, "needs --format=FORMAT or --merge");
  }

  /** Nothing in the files says where this machine keeps things. */
  @Test
  void anExportCanBePushedAsItIs() throws IOException {
    Path adapter = temporary.resolve("pushed");
    Call.of("export", lora, "--format=peft", "--base-model-name=some/one", "--output=" + adapter)
        .exits(0);
    String card = Files.readString(adapter.resolve("README.md"));
    assertTrue(card.startsWith("---\nbase_model: some/one\nbase_model_relation: adapter\n"), card);
    assertTrue(card.contains("library_name: peft\n"), card);
    assertTrue(card.contains("metrics:\n- accuracy\n- f1\n"), card);
    assertTrue(card.contains("noun.animal"), card);
    assertEquals(
        "some/one",
        RunDirectory.open(adapter).readJson("adapter_config.json").get("base_model_name_or_path"));
    for (String name : List.of("README.md", "adapter_config.json", "prunepeft.json")) {
      String text = Files.readString(adapter.resolve(name));
      assertFalse(text.contains("\"/"), text);
      assertFalse(text.contains(temporary.toString()), text);
    }
    Path imported = temporary.resolve("pushed-imported");
    Call.of("import", adapter, "--model=minilm", "--output=" + imported).exits(0);
    Call.of("export", lora, "--format=peft", "--base-model-name=/a/b", "--output=" + imported)
        .exits(2, "'/a/b' is no name of a model on the hub");
  }

  @ParameterizedTest
  @ValueSource(strings = {"peft", "adapters", "onnx", "merge"})
  void anExportOfAModelAndDataInFilesNamesNoDirectory(String form) throws IOException {
    Path export = temporary.resolve("named-" + form);
    Call call = export(ownFiles, form, "--base-model-name=some/one", "--output=" + export).exits(0);
    assertFalse(call.err().contains("directories of this machine"), call.err());
    for (String name : Small.names(export)) {
      // Tensors have texts too.
      String content = Files.readString(export.resolve(name), StandardCharsets.ISO_8859_1);
      for (String property : List.of("java.io.tmpdir", "user.dir", "user.home")) {
        Path directory = Path.of(System.getProperty(property));
        if (directory.getParent() != null) { // that of a root is part of other texts
          assertFalse(content.contains(directory + "/"), () -> name + " has " + directory);
        }
      }
      if (!name.endsWith(".safetensors") && !name.endsWith(".onnx")) {
        assertFalse(ABSOLUTE.matcher(content).find(), () -> name + ": " + content);
      }
    }
    String relation = List.of("onnx", "merge").contains(form) ? "finetune" : "adapter";
    String card = Files.readString(export.resolve("README.md"));
    String head = "---\nbase_model: some/one\nbase_model_relation: " + relation + "\n";
    assertTrue(card.startsWith(head), card);
    assertTrue(card.contains("# some/one on texts\n"), card);
    assertTrue(card.contains("on the data `texts`, texts of at most 24 tokens"), card);
    // Python cuts them there too, and opens the tokenizer without the base model's config.json.
    Map<String, Object> tokenizer = RunDirectory.open(export).readJson("tokenizer_config.json");
    assertEquals(24, tokenizer.get("model_max_length"));
    assertTrue(tokenizer.get("tokenizer_class").toString().endsWith("Tokenizer"), form);
    if (!form.equals("onnx")) {
      String cut = "truncation=True" + (form.equals("merge") ? ")" : ", max_length=24, ");
      assertTrue(card.contains(cut), card);
    }
    Map<String, Object> result = RunDirectory.open(ownFiles).readJson("result.json");
    String budget =
        String.format(
            Locale.ROOT,
            "%,d trainable parameters of the supernet's %,d",
            result.get("trainable_parameters"),
            result.get("supernet_parameters"));
    assertTrue(card.contains(budget), budget + " is not in " + card);
  }

  /** Only what is a path loses its directory. */
  @Test
  void aColumnThatLooksLikeAPathKeepsItsName() throws IOException {
    Path file = temporary.resolve("columns.csv");
    Files.writeString(
        file,
        Files.readString(temporary.resolve("texts.csv")).replace("first,second", "/review/text,b"));
    Path run = temporary.resolve("columns");
    Call.of(
            "train",
            "--model=" + temporary.resolve(TextRuns.ROBERTA),
            "--train-file=" + file,
            "--text-column=/review/text",
            "--label-column=label",
            "--output=" + run,
            Small.modules(),
            "--adapter-size=0")
        .exits(0);
    Path export = temporary.resolve("columns-peft");
    export(run, "peft", "--base-model-name=some/one", "--output=" + export).exits(0);
    Map<String, Object> origin = RunDirectory.open(export).readJson("prunepeft.json");
    Map<?, ?> files = (Map<?, ?>) ((Map<?, ?>) origin.get("setup")).get("files");
    assertEquals("columns.csv", files.get("train"));
    assertEquals("/review/text", ((Map<?, ?>) files.get("columns")).get("text"));
  }

  @Test
  void anExportOfAModelInADirectoryWarnsThatItNamesThat() {
    for (String form : List.of("peft", "merge")) {
      export(ownFiles, form, "--output=" + temporary.resolve("unnamed-" + form))
          .exits(0)
          .says(
              "directories of this machine",
              temporary.resolve(TextRuns.ROBERTA).toString(),
              "--base-model-name NAME");
    }
  }

  private static Call export(Path run, String form, String... options) {
    return Call.of("export", run, form.equals("merge") ? "--merge" : "--format=" + form, options);
  }

  @Test
  void whatAFormatCannotHoldIsRefusedAndNothingIsWritten() {
    Path adapter = temporary.resolve("refused");
    Call.of("export", both, "--format=peft", "--output=" + adapter)
        .exits(2, "--format adapters holds both");
    assertFalse(Files.exists(adapter));
  }

  /** A search takes long, and its result would be refused then. */
  @Test
  void whatAFormatCannotHoldIsRefusedBeforeTheSearch() {
    Path never = temporary.resolve("never");
    List<String> search = new ArrayList<>(Small.examples(32));
    search.add(0, "search");
    search.add("--output=" + never);
    Call.of(search, "--export-to=peft").exits(2, "--format adapters holds both");
    Call.of(search, "--export-to=merge").exits(2, "are not linear");
    Call.of(search, "--export-to=adapters", "--use-dora").exits(2, "AdapterHub has no DoRA");
    Call.of(search, "--export-to=merge", "--use-dora", "--module-types=vera")
        .exits(2, "DoRA and LoRA, which together are no low-rank update");
    Call.of(search, "--export-to=zip").exits(2, "unknown format 'zip'");
    assertFalse(Files.exists(never));
  }

  /** With the message that a search has without the check. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--lora-r=1000000000",
        "--adapter-size=1000000000",
        "--module-types=vera --module-settings=vera.rank=1000000000",
        "--use-adalora --init-r=1000000000 --target-r=900000000"
      })
  void modulesForWhichThereIsNoMemoryAreRefusedForThat(String modules) {
    List<String> search = new ArrayList<>(Small.examples(24));
    search.add(0, "search");
    search.add("--model=" + temporary.resolve(TextRuns.ROBERTA));
    search.addAll(List.of(modules.split(" ")));
    int number = modules.hashCode();
    for (String check : List.of("--seed=0", "--export-to=adapters", "--export-to=onnx")) {
      Call.of(search, check, "--output=" + temporary.resolve("too-large" + check + number))
          .exits(1, "the training takes about ", " GB of memory");
    }
  }

  @Test
  void unknownFormatsAndRunsAreRefused() {
    Path adapter = temporary.resolve("unknown");
    Call.of("export", lora, "--format=zip", "--output=" + adapter)
        .exits(2, "unknown format 'zip'; there are peft, adapters, gguf and onnx");
    Path none = temporary.resolve("none");
    Call.of("export", none, "--format=peft", "--output=" + adapter)
        .exits(1, none + " does not exist");
    assertFalse(Files.exists(adapter));
  }
}
