package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.LanguageModel;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.testing.FixedSeed;

/**
 * Commands on a small Llama of random weights, which learns that a letter is answered by the next.
 */
@FixedSeed("how far a training gets differs from draw to draw")
class LanguageModelTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path pairs;

  @BeforeAll
  static void write() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    pairs = LetterPairs.write(temporary, 120);
  }

  private static List<String> options(Path output) {
    return options(model, pairs, output);
  }

  private static List<String> options(Path model, Path file, Path output) {
    return List.of(
        "--model=" + model,
        "--train-file=" + file,
        "--epochs=2",
        "--batch-size=2",
        "--max-seq-length=24",
        "--learning-rate=0.03",
        "--lora-r=4",
        "--adapter-size=4",
        "--threads=2",
        "--output=" + output);
  }

  @Test
  void aRunIsTrainedEvaluatedAskedAndGoesOnWithTexts() throws Exception {
    Path run = temporary.resolve("train");
    Call.of("train", options(run))
        .exits(0, "training texts are packed into")
        .prints("test log-likelihood", "(perplexity ", "the model without modules: test ");
    assertTrue(
        LetterPairs.likelihood(run, "test") > LetterPairs.likelihood(run, "head_alone_test") + 0.5);
    assertFalse(Files.exists(run.resolve("head.safetensors")));
    double tested = LetterPairs.likelihood(run, "test");
    Call.of("evaluate", run)
        .exits(0)
        .prints(
            String.format(
                Locale.ROOT,
                "test log-likelihood %.4f (perplexity %.3f), loss %.4f",
                tested,
                Math.exp(-tested),
                -tested));
    Call.of("evaluate", run, "--test-file=" + pairs).exits(0).prints("120 examples");
    Call.of("predict", run, "--text=a:b").exits(0).prints("log_likelihood\ttext");
    reports(run);
    Call twice = Call.of("generate", run, "--prompt=a:", "--max-new-tokens=3").exits(0);
    assertTrue(twice.out().startsWith("a:"), twice.out());
    assertEquals(twice.out(), Call.of("generate", run, "--prompt=a:", "--max-new-tokens=3").out());
    String both =
        Call.of("generate", run, "--prompt=a:", "--prompt=so it goes:", "--max-new-tokens=3")
            .exits(0)
            .out();
    assertTrue(both.startsWith(twice.out()), both);
    assertTrue(both.contains("so it goes:"), both);
  }

  @Test
  void aTrainingShowsTokensASecond() {
    Path run = temporary.resolve("followed");
    Call.of("train", options(run)).exits(0);
    List<String> shown = new ArrayList<>();
    try (TrainedModel trained = TrainedModel.load(run)) {
      PrunePeft.train(
          trained.setup().with().output(null).epochs(1).build(),
          ModuleChoice.supernet(),
          new ProgressListener() {
            @Override
            public void progress(long done, String detail) {
              shown.add(detail);
            }
          });
    }
    assertTrue(
        shown.stream().anyMatch(detail -> detail.matches("loss [0-9.]+, [1-9][0-9]* tokens/s")),
        shown.toString());
  }

  /** It is neither a regression's nor one of a model with a head. */
  private static void reports(Path run) throws Exception {
    JsonNode report =
        new JsonMapper().readTree(Call.of("report", run, "--format=json").exits(0).out());
    JsonNode shown = report.at("/runs/0");
    assertTrue(shown.at("/numbers").isMissingNode(), shown.toString());
    JsonNode texts = shown.get("mistakes");
    for (int i = 1; i < texts.size(); i++) {
      double before = texts.get(i - 1).get("predicted").doubleValue();
      assertTrue(before <= texts.get(i).get("predicted").doubleValue(), texts.toString());
    }
    assertTrue(texts.at("/0/text").textValue().matches("[a-f]:[a-f]"), texts.toString());
    assertTrue(texts.at("/0/target").doubleValue() >= 1, texts.toString());
    assertEquals(
        LetterPairs.likelihood(run, "head_alone_test"), shown.get("baseline").doubleValue(), 1e-4);
    Path page = temporary.resolve("language.html");
    Call.of("report", run, "--output=" + page).exits(0);
    String dom = Browser.orSkip(temporary).dom(page);
    String main = dom.substring(dom.indexOf("<main"), dom.indexOf("</main>"));
    assertTrue(main.contains("Least probable texts") && main.contains("without modules "), main);
    assertFalse(main.contains("Furthest off") || main.contains("head a"), "it has no head");
  }

  @Test
  void aModelThatDoesNotFitIsRefusedBeforeItIsRead() throws IOException {
    Path large = LlamaDirectory.write(temporary.resolve("large"));
    Path config = large.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceAll("(\"hidden_size\"\\s*:\\s*)\\d+", "$132768")
            .replaceAll("(\"num_hidden_layers\"\\s*:\\s*)\\d+", "$1900"));
    Files.delete(large.resolve("model.safetensors"));
    Path run = temporary.resolve("too large");
    List<String> options =
        options(run).stream()
            .map(option -> option.equals("--model=" + model) ? "--model=" + large : option)
            .toList();
    Call.of("train", options)
        .exits(
            1,
            "the training takes about ",
            "--gradient-checkpointing takes ",
            " times the --gradient-accumulation-steps takes ",
            "--precision bf16 takes ",
            "all of these together take ",
            "or take a smaller model");
    assertFalse(Files.exists(run));
  }

  /** The context is longer than any machine has memory for; the texts are short. */
  @Test
  void textsThatMayBeShorterAreWarnedOfBeforeTheirModelIsReadAndTrained() throws IOException {
    Path reaching = LlamaDirectory.write(temporary.resolve("reaching"));
    Path config = reaching.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceAll("(\"max_position_embeddings\"\\s*:\\s*)\\d+", "$12000000000"));
    List<String> options =
        new ArrayList<>(options(reaching, pairs, temporary.resolve("within reach")));
    options.replaceAll(
        option -> option.startsWith("--max-seq-length=") ? "--max-seq-length=2000000000" : option);
    String warning = "the training may take more memory than there is: at most ";
    Call.of("train", options, "--packing=false", "--epochs=1")
        .exits(0, warning, "--batch-size 1 with 2 times ", "memory: at most ")
        .prints("memory: predicted at most ");
    Files.delete(reaching.resolve("model.safetensors"));
    options.replaceAll(option -> option.startsWith("--output=") ? option + " again" : option);
    Call.of("train", options, "--packing=false").exits(1, warning, "model.safetensors");
    Call.of("train", options)
        .exits(1, "the training takes about ", "--max-seq-length 1000000000 takes ");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void fullFineTuningTrainsTheOutputLayerToo(boolean tied) throws IOException {
    Path plain = LlamaDirectory.write(temporary.resolve("plain-" + tied), tied);
    Path run = temporary.resolve("full-" + tied);
    Call.of("train", options(plain, pairs, run), "--modules=full", "--encoder-learning-rate=0.01")
        .exits(0);
    double tested = LetterPairs.likelihood(run, "test");
    assertTrue(tested > LetterPairs.likelihood(run, "head_alone_test") + 0.5);
    Call.of("evaluate", run)
        .exits(0)
        .prints(String.format(Locale.ROOT, "test log-likelihood %.4f", tested));
    Path merged = temporary.resolve("merged-" + tied);
    Call.of("export", run, "--merge", "--output=" + merged).exits(0);
    if (!tied) {
      String output = "lm_head.weight";
      try (SafeTensors before = SafeTensors.open(plain.resolve("model.safetensors"));
          SafeTensors after = SafeTensors.open(merged.resolve("model.safetensors"))) {
        assertEquals(before.names(), after.names());
        assertFalse(Arrays.equals(before.finiteFloats(output), after.finiteFloats(output)));
      }
    }
    List<String> prompt = List.of("--prompt=a:", "--max-new-tokens=2");
    assertEquals(
        Call.of("generate", run, prompt.get(0), prompt.get(1)).exits(0).out(),
        Call.of("generate", merged, prompt.get(0), prompt.get(1)).exits(0).out());
  }

  @Test
  void textsWithoutATokenToLearnAreLeftOut() throws IOException {
    Path some =
        Files.writeString(
            temporary.resolve("some.jsonl"),
            Files.readString(pairs)
                + "{\"prompt\": \"%s\", \"completion\": \"b\"}%n"
                    .formatted("a".repeat(40))
                    .repeat(9));
    Call.of(
            "train",
            options(model, some, temporary.resolve("some")),
            "--validation-file=" + pairs,
            "--test-file=" + pairs,
            "--packing=false")
        .exits(
            0,
            "9 of 129 training texts have no token that contributes to the loss and are left out");
  }

  @Test
  void textsThatAreTooLongAreRefusedWhereThatIsAsked() throws IOException {
    // Without merges a byte is a token; the end is one more.
    String line = "{\"text\": \"%s\"}\n";
    Path some =
        Files.writeString(
            temporary.resolve("longer.jsonl"),
            Files.readString(pairs).replaceAll("prompt.*?, ", "text\": \"z\", ")
                + line.formatted("z".repeat(23))
                + line.formatted("z".repeat(30)));
    String message =
        "longer.jsonl, line 122: the text has 31 tokens, but --max-seq-length is 24 (1 of 122 texts";
    String made =
        message.replace("--max-seq-length is 24", "the run was made with --max-seq-length 24");
    Path run = temporary.resolve("too long");
    for (String command : List.of("train", "search")) {
      Call.of(
              command,
              options(model, some, run),
              "--too-long=refuse",
              "--validation-file=" + pairs,
              "--test-file=" + pairs)
          .exits(1, message, "--too-long cut");
      assertFalse(Files.exists(run));
    }
    Call.of(
            "train",
            options(model, some, temporary.resolve("cut")),
            "--epochs=1",
            "--validation-file=" + pairs,
            "--test-file=" + pairs)
        .exits(0, "1 of 122 training texts have more than 24 tokens and are cut there");
    Call.of("train", options(run), "--epochs=1", "--too-long=refuse").exits(0);
    String options = Files.readString(run.resolve("config.yaml"));
    assertTrue(options.matches("(?s).*\ntoo_long: \\W?refuse.*"), options);
    Call.of("evaluate", run, "--test-file=" + some).exits(1, made);
    Call.of("evaluate", run, "--test-file=" + some, "--too-long=cut")
        .exits(0, "1 of 122 evaluated texts have more than 24 tokens and are cut there");
    Path lines =
        Files.writeString(temporary.resolve("lines.txt"), "z\n\n" + "z".repeat(24) + "\nz\n");
    Call.of("predict", run, lines)
        .exits(1, lines + ", line 3: the text has 25 tokens, but the run was made with");
    Call.of("predict", run, lines, "--too-long=cut")
        .exits(0, "1 of 3 predicted texts have more than 24 tokens and are cut there")
        .prints("z".repeat(24));
    Call.of("predict", run, some, "--text-column=text").exits(1, made.split(" \\(")[0]);
    Call.of("predict", run, "--text=z", "--text=" + "z".repeat(24)).exits(1, "example 2: the text");
    Path encoder = Small.model(Files.createDirectories(temporary.resolve("with encoder")));
    Call.of("train", "--model=" + encoder, "--too-long=refuse")
        .exits(2, "--too-long is for the texts of a language model");
  }

  @Test
  void seedsOfALanguageModelAreTrainedTogether() throws IOException {
    Path together = temporary.resolve("together");
    Call.of("train", options(together), "--seeds=1,2", "--together").exits(0);
    Path alone = temporary.resolve("alone");
    Call.of("train", options(alone), "--seed=2").exits(0);
    assertEquals(
        LetterPairs.likelihood(alone, "test"),
        LetterPairs.likelihood(together.resolve("seed-2"), "test"),
        0.05);
    String summary = Files.readString(together.resolve("summary.md"));
    assertTrue(summary.matches("(?s).*\n\\| +mean \\| +-\\d\\.\\d{4} \\(perplexity .*"), summary);
    assertTrue(summary.matches("(?s).*\n\\| deviation \\| +\\d\\.\\d{4} \\|.*"), summary);
    String compared =
        Call.of("compare", together.resolve("seed-1"), together.resolve("seed-2")).exits(0).out();
    String difference =
        compared
            .lines()
            .filter(line -> line.startsWith("| to the first "))
            .findFirst()
            .orElseThrow();
    assertFalse(difference.contains("perplexity"), difference);
    assertTrue(difference.matches(".*\\[-?\\+?\\d\\.\\d{4}, .*"), difference);
  }

  private Path searched(String name, String... more) {
    Path run = temporary.resolve(name);
    boolean adaLora = List.of(more).contains("--use-adalora");
    Call.of(
            "search",
            options(run).stream().filter(one -> !adaLora || !one.startsWith("--lora-r=")).toList(),
            "--warm-up-turns=1",
            "--warm-up-examples=8",
            "--warm-up-epochs=1",
            "--rounds=2",
            "--round-examples=12",
            List.of(more))
        .exits(0)
        .prints("round 1", "without modules ", "search ");
    return run;
  }

  /** What a summary says of the LoRA modules of each layer. */
  private static List<String> loraOfLayers(Path run) throws IOException {
    return Files.readAllLines(run.resolve("summary.md")).stream()
        .filter(line -> line.matches("\\| +\\d+ \\|.*"))
        .map(line -> line.split(" *\\| *")[3])
        .toList();
  }

  @Test
  void aSearchPrunesProjectionsOfADecoder() throws IOException {
    Path run = searched("search");
    assertTrue(
        LetterPairs.likelihood(run, "test") > LetterPairs.likelihood(run, "head_alone_test"));
    List<String> layers = loraOfLayers(run);
    assertEquals(LlamaDirectory.LAYERS, layers.size());
    for (String layer : layers) {
      assertEquals(
          List.of(
              "attention.output.dense",
              "gate_proj",
              "intermediate.dense",
              "key",
              "output.dense",
              "query",
              "value"),
          Stream.of(layer.split(", ")).map(module -> module.split(" ")[0]).toList());
    }
  }

  @Test
  void aLayersProjectionsMayBeOneModule() throws IOException {
    Path run = searched("layers", "--module-per-projection=false");
    List<String> layers = loraOfLayers(run);
    assertEquals(LlamaDirectory.LAYERS, layers.size());
    layers.forEach(layer -> assertTrue(layer.matches("kept|round [12]"), layer));
    Call.of("evaluate", run).exits(0).prints("test log-likelihood");
  }

  @ParameterizedTest
  @CsvSource({
    "--adapter-size=0 --use-dora, dora=true, .lora_magnitude_change",
    "--adapter-size=0 --use-adalora --init-r=4 --target-r=2, initR=4, .lora_E",
    "--lora-r=0 --adapter-config=parallel, style=parallel, .adapter_up.weight"
  })
  void aSearchAmongOtherKindsOfModulesGoesToItsEnd(String options, String setting, String tensor)
      throws IOException {
    Path run = searched("among" + tensor, options.split(" "));
    Map<?, ?> setup = (Map<?, ?>) RunDirectory.open(run).readJson("config.json").get("setup");
    assertTrue(setup.toString().contains(setting), setup.toString());
    try (SafeTensors adapter = SafeTensors.open(run.resolve("adapter.safetensors"))) {
      assertTrue(
          adapter.names().stream().anyMatch(name -> name.endsWith(tensor)),
          adapter.names().toString());
    }
    Call.of("evaluate", run)
        .exits(0)
        .prints(
            String.format(
                Locale.ROOT, "test log-likelihood %.4f", LetterPairs.likelihood(run, "test")));
  }

  @Test
  void aMeasuredSearchMeasuresLogLikelihood() {
    Path run = temporary.resolve("measured");
    Call.of(
            "search",
            options(run),
            "--strategy=measured",
            "--packing=false",
            "--validation-examples=32",
            "--supernet-examples=32",
            "--supernet-epochs=1",
            "--measured-examples=32",
            "--subsets=24")
        .exits(0)
        .prints("A point is a hundredth of the log-likelihood of a token.");
  }

  @Test
  void aPretrainedModelGoesOnAsItIs() {
    Call.of("generate", model, "--prompt=so it goes", "--max-new-tokens=2", "--temperature=1")
        .exits(0)
        .prints("so it goes");
    Call.of("generate", model, "--prompt=" + "so it goes ".repeat(20))
        .exits(2, "a prompt has", "the model takes 128");
    Call.of("generate", model, "--prompt=a", "--top-p=2").exits(2, "top-p must be in (0, 1]");
    Call.of("generate", model, "--prompt=a", "--top-p=0.9")
        .exits(2, "--top-p has no effect with --temperature 0");
    Call.of("chat", model, "--top-k=5").exits(2, "--top-k has no effect with --temperature 0");
  }

  @Test
  void aListenerThatCallsItsModelIsRefused() {
    try (LanguageModel written = LanguageModel.load(model.toString())) {
      for (Runnable inner :
          List.<Runnable>of(
              () ->
                  written.generate(
                      List.of("a"), GenerationSettings.DEFAULT, GenerationListener.NONE),
              written::close)) {
        IllegalStateException refused =
            assertThrows(
                IllegalStateException.class,
                () ->
                    written.generate(
                        List.of("a"), GenerationSettings.DEFAULT, (prompt, piece) -> inner.run()));
        assertTrue(refused.getMessage().contains("a listener calls"), refused.getMessage());
      }
    }
  }

  @Test
  void whatWritesIsACompleteRunOrADirectoryOfAModel() throws IOException {
    for (String command : List.of("generate --prompt=a", "chat")) {
      List<String> words = List.of(command.split(" "));
      Path absent = temporary.resolve("absent");
      Call.of(words, absent)
          .exits(2, "there is no directory " + absent + "; name that of a complete");
      Path begun = Files.createDirectories(temporary.resolve("begun"));
      Files.writeString(begun.resolve("config.yaml"), "");
      Files.writeString(begun.resolve("config.json"), "{}");
      Files.writeString(begun.resolve("INCOMPLETE"), "");
      Call.of(words, begun).exits(1, begun + " has no complete run");
    }
  }

  @Test
  void aConversationGoesOnTurnByTurn() {
    Call call = chat("hi\n\nso it goes\n").exits(0);
    assertTrue(call.out().chars().filter(c -> c == '\n').count() >= 2, call.out());
    assertFalse(call.err().contains("forgotten"), call.err());
  }

  @Test
  void aConversationThatTheModelHasNoRoomForGoesOnWithoutItsOldestTurns() {
    String line = "so it goes ".repeat(3) + "\n";
    Call call = chat(line.repeat(4) + "so it goes ".repeat(40) + "\n" + line);
    call.exits(0, "messages are forgotten", "this message is left out: a prompt has");
    assertTrue(call.out().chars().filter(c -> c == '\n').count() >= 5, call.out());
  }

  private static Call chat(String lines) {
    InputStream input = System.in;
    try {
      System.setIn(new ByteArrayInputStream(lines.getBytes(StandardCharsets.UTF_8)));
      return Call.of("chat", model, "--max-new-tokens=2", "--threads=2");
    } finally {
      System.setIn(input);
    }
  }

  @Test
  void labelsMakeAClassificationAndEncodersNeedThem() throws IOException {
    Path encoder = Small.model(temporary);
    Call.of("train", "--model=" + encoder, "--train-file=" + pairs).exits(2, "text");
    Call.of("generate", encoder, "--prompt=a").exits(2, "is an encoder, which writes no texts");
    Path run = temporary.resolve("none");
    Call.of("train", options(run), "--modules=head").exits(2, "has nothing to train");
    Call.of("train", "--model=" + encoder, "--packing=false")
        .exits(2, "--packing is for the texts of a language model");
  }
}
