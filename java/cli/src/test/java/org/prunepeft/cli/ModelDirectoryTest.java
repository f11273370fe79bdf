package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Models;
import org.prunepeft.testing.FixedSeed;

/** A search on a RoBERTa in a Hugging Face directory, so small that it finds nothing. */
@FixedSeed("how far a training gets differs from draw to draw")
class ModelDirectoryTest {
  @TempDir static Path temporary;
  private static Path model;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
  }

  @Test
  void textIsEncodedByTheDirectorysTokenizer() {
    Models.LoadedModel loaded = Models.byName(model.toString()).loader().load();
    loaded.encoder().close();
    assertEquals(64, loaded.encoder().config().maxTokens());
    try (Tokenizer tokenizer = Tokenizer.of(loaded.tokenizer(), 16)) {
      // Bytes, at five behind their value, and merges; a pair has two separators, types are all 0.
      int a = 5 + 'a';
      int the = 5 + 256 + 2;
      assertArrayEquals(new int[] {0, a, the, 2}, tokenizer.encode("a the", null).ids());
      assertArrayEquals(new int[] {0, a, 2, 2, a, 2}, tokenizer.encode("a", "a").ids());
      assertArrayEquals(new int[6], tokenizer.encode("a", "a").types());
    }
  }

  @Test
  void searchRunsOnADirectory() throws IOException {
    Path output = temporary.resolve("run");
    Call.of(
            "search",
            "--model=" + model,
            Small.examples(48),
            "--lora-r=4",
            "--adapter-size=4",
            "--warm-up-turns=1",
            "--warm-up-examples=16",
            "--warm-up-epochs=1",
            "--rounds=2",
            "--round-examples=32",
            "--output=" + output)
        .exits(0)
        .prints("test accuracy");
    assertTrue(Files.exists(output.resolve("result.json")));
    assertTrue(!Files.exists(output.resolve("INCOMPLETE")));
    Set<String> kinds = new TreeSet<>();
    try (SafeTensors adapter = SafeTensors.open(output.resolve("adapter.safetensors"))) {
      for (String name : adapter.names()) {
        assertTrue(name.matches("encoder\\.layer\\.[0-3]\\..*"), name);
        kinds.add(name.replaceAll("\\.[0-3]\\.", ".N."));
      }
    }
    assertTrue(
        kinds.contains("encoder.layer.N.attention.self.query.lora_A.weight")
            || kinds.contains("encoder.layer.N.output.adapter.adapter_down.0.weight"),
        kinds.toString());
  }

  /** Files as those of CoLA: source, label, mark and sentence, without a header. */
  private static void cola(Path file, int rows) throws IOException {
    List<String> words = List.of("the", "book", "reads", "in", "she", "sells", "a", "tin");
    Random random = new Random(rows);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < rows; i++) {
      boolean acceptable = random.nextInt(3) > 0;
      // Some judgements are odd.
      text.append(acceptable ^ random.nextInt(8) == 0 ? "gj04\t1\t\t" : "gj04\t0\t*\t");
      for (int k = random.nextInt(6); k >= 0; k--) {
        text.append(words.get(random.nextInt(words.size()))).append(' ');
      }
      text.append(acceptable ? "today.\n" : "quickly the.\n");
    }
    Files.writeString(file, text);
  }

  @Test
  void aSearchEndsWithAnExportThatEvaluatesToThePrintedMetric() throws IOException {
    Path data = Files.createDirectories(temporary.resolve("CoLA"));
    cola(data.resolve("train.tsv"), 250);
    cola(data.resolve("dev.tsv"), 150);
    Path run = temporary.resolve("cola-run");
    Call search =
        Call.of(
                "search",
                "--model=" + model,
                "--task=cola",
                "--data=" + data,
                "--epochs=3",
                "--learning-rate=0.01",
                "--threads=2",
                "--lora-r=4",
                "--adapter-size=4",
                "--strategy=all",
                "--round-examples=64",
                "--output=" + run)
            .exits(0);
    Map<?, ?> test = Small.test(run);
    double metric = (Double) test.get("matthews_correlation");
    assertTrue(metric > 0.1, "nothing was learnt: " + metric);
    String printed = String.format(Locale.ROOT, "test Matthews correlation %.4f", metric);
    assertTrue(search.out().lines().anyMatch(printed::equals), search.out());
    Path adapter = temporary.resolve("cola-adapter");
    Call.of("export", run, "--format=adapters", "--output=" + adapter).exits(0);
    Path imported = temporary.resolve("cola-imported");
    Call.of("import", adapter, "--output=" + imported).exits(0);
    Call evaluated = Call.of("evaluate", imported).exits(0);
    assertTrue(
        evaluated.out().lines().anyMatch(line -> line.startsWith(printed + ", ")),
        printed + " / " + evaluated.out());
    assertEquals(Call.of("evaluate", run).exits(0).out(), evaluated.out());
  }

  @Test
  void otherModulesAreSearchedByTheirOptions() throws IOException {
    Path output = temporary.resolve("other");
    Call.of(
            "search",
            "--model=" + model,
            Small.examples(48),
            "--lora-r=4",
            "--module-per-projection",
            "--use-dora",
            "--use-rslora",
            "--target-modules=query,intermediate.dense",
            "--adapter-size=4",
            "--adapter-config=houlsby",
            "--strategy=all",
            "--rounds=1",
            "--round-examples=32",
            "--output=" + output)
        .exits(0);
    Set<String> names = new TreeSet<>();
    var configuration = RunDirectory.open(output).readJson("configuration.json");
    for (Object module : (List<?>) configuration.get("modules")) {
      names.add(((Map<?, ?>) module).get("name").toString());
    }
    assertTrue(names.size() < 16, names.toString());
    for (String name : names) {
      assertTrue(
          name.matches(
              "encoder\\.layer\\.[0-3]\\.(lora\\.(query|intermediate\\.dense)|adapter\\.(attention|output))"),
          name);
    }
    String summary = Files.readString(output.resolve("summary.md"));
    assertTrue(summary.matches("(?s).*attention (kept|round 1), output (kept|round 1).*"), summary);
  }

  @Test
  void parallelAdaptersAreSearched() throws IOException {
    Path output = temporary.resolve("parallel");
    Call.of(
            "search",
            "--model=" + model,
            Small.examples(48),
            "--lora-r=0",
            "--adapter-size=4",
            "--adapter-config=parallel",
            "--strategy=all",
            "--rounds=1",
            "--round-examples=32",
            "--output=" + output)
        .exits(0);
    List<?> modules =
        (List<?>) RunDirectory.open(output).readJson("configuration.json").get("modules");
    // Four layers with one adapter each, half of the parameters kept.
    assertEquals(2, modules.size(), modules.toString());
  }

  @Test
  void sequencesLongerThanThePositionsAreRefused() {
    Call.of(
            "search",
            "--model=" + model,
            "--max-seq-length=65",
            "--output=" + temporary.resolve("never"))
        .exits(2, "64 tokens, got 65");
    assertTrue(Files.notExists(temporary.resolve("never")));
  }

  @Test
  void aDirectoryWithoutAModelIsRefused() {
    Call.of("search", "--model=" + temporary, "--output=" + temporary.resolve("never"))
        .exits(1, "no config.json");
    Call.of("search", "--model=" + temporary.resolve("absent"))
        .exits(2, "or a directory with config.json");
    assertTrue(Files.notExists(temporary.resolve("never")));
  }

  @Test
  void modelsAreListedWithWhatAFetchTakes() {
    Call call = Call.of("models").exits(0);
    for (String name : new String[] {"minilm", "bge-small", "bert-base"}) {
      call.prints(name + System.lineSeparator());
    }
    assertEquals(
        "minilm comes with the program" + System.lineSeparator(),
        Call.of("models", "--fetch=minilm").exits(0).out());
    assertTrue(
        Call.of("models", "--fetch=absent").exits(2).err().contains("unknown model 'absent'"));
    Call.of("models", "--fetch=" + model)
        .exits(2, "is a directory, whose model is there; --fetch takes one of");
  }
}
