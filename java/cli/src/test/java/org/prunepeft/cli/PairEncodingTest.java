package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Example;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

/** Runs on pairs whose texts go through the encoder by themselves, with a tiny model. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class PairEncodingTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path sentenceModel;
  private static Path file;

  /** Pairs that are alike by the share of their words that are the same. */
  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
    sentenceModel = Files.createDirectories(temporary.resolve("sentence-roberta"));
    for (String name : Small.names(model)) {
      Files.copy(model.resolve(name), sentenceModel.resolve(name));
    }
    Files.writeString(sentenceModel.resolve("modules.json"), "[]");
    Files.createDirectories(sentenceModel.resolve("1_Pooling"));
    Files.writeString(sentenceModel.resolve("1_Pooling/config.json"), "{}");
    file = temporary.resolve("alike.csv");
    List<String> words = List.of("the", "thing", "in", "or", "a", "other");
    Files.writeString(
        file,
        IntStream.range(0, 96)
            .mapToObj(
                i -> {
                  int same = i % 5;
                  String first = text(words, i, 4);
                  String second =
                      (text(words, i, same) + " " + text(words, i + 3, 4 - same)).trim();
                  return String.format(
                      Locale.ROOT,
                      "%s,%s,%.2f,%s",
                      first,
                      second,
                      same / 4.0,
                      same > 2 ? "y" : "n");
                })
            .collect(Collectors.joining("\n", "first,second,alike,same\n", "\n")));
  }

  private static String text(List<String> words, int from, int count) {
    return IntStream.range(0, count)
        .mapToObj(i -> words.get((from + i * (1 + from % 2)) % words.size()))
        .collect(Collectors.joining(" "));
  }

  private static List<String> similarity() {
    return List.of("--label-column=alike", "--do-regression", "--epochs=1");
  }

  private static Call call(String command, Path base, Path output, Object... options) {
    return Call.of(
        command,
        "--model=" + base,
        "--train-file=" + file,
        "--text-column=first",
        "--text-pair-column=second",
        "--output=" + output,
        "--max-seq-length=24",
        "--threads=2",
        "--lora-r=2",
        "--batch-size=8",
        options);
  }

  private static String encoding(Path run) {
    Map<?, ?> setup = (Map<?, ?>) RunDirectory.open(run).readJson("config.json").get("setup");
    return (String) setup.get("pairEncoding");
  }

  private static long headWidth(Path run) throws IOException {
    try (SafeTensors head = SafeTensors.open(run.resolve("head.safetensors"))) {
      return head.shape("classifier.weight")[1];
    }
  }

  private static Evaluation evaluate(Path run) {
    try (TrainedModel trained = TrainedModel.load(run)) {
      return trained.evaluate(trained.dataset().test());
    }
  }

  @Test
  void aSentenceEncoderTakesEachTextByItselfAndOthersBoth() throws IOException {
    Path joint = temporary.resolve("auto-joint");
    call("train", model, joint, similarity()).exits(0);
    assertEquals("joint", encoding(joint));
    assertEquals(RobertaDirectory.HIDDEN, headWidth(joint));
    Path separate = temporary.resolve("auto-separate");
    call("train", sentenceModel, separate, similarity())
        .exits(0, "each text by itself, as sentence-roberta is a sentence encoder");
    assertEquals("separate", encoding(separate));
    assertEquals(3 * RobertaDirectory.HIDDEN + 1, headWidth(separate));
    Path joined = temporary.resolve("joined");
    call("train", sentenceModel, joined, similarity(), "--pair-encoding=joint").exits(0);
    assertEquals(Small.test(joint), Small.test(joined));
    // Of single texts there is nothing to choose.
    Path single = temporary.resolve("single");
    Call.of("train", "--model=" + sentenceModel, Small.examples(24), "--output=" + single).exits(0);
    assertEquals("joint", encoding(single));
  }

  @ParameterizedTest
  @ValueSource(strings = {"alike", "same"})
  void aRunThatIsLoadedGivesTheSameMetrics(String label) throws IOException {
    Path run = temporary.resolve("loaded-" + label);
    List<String> kind =
        label.equals("alike") ? similarity() : List.of("--label-column=same", "--epochs=3");
    call("train", model, run, kind, "--pair-encoding=separate").exits(0);
    Evaluation again = evaluate(run);
    assertEquals(((Number) Small.test(run).get("loss")).doubleValue(), again.loss());
    Call.of("evaluate", run).exits(0);
    Call predicted = Call.of("predict", run, file).exits(0);
    assertEquals(97, predicted.out().lines().count());
    Path repeated = temporary.resolve("repeated-" + label);
    Call.of("train", "--config=" + run.resolve("config.yaml"), "--output=" + repeated).exits(0);
    assertEquals(Small.test(run), Small.test(repeated));
    assertEquals("separate", encoding(repeated));
  }

  @Test
  void eachTextIsReadWithoutTheOther() {
    Path run = temporary.resolve("towers");
    call("train", model, run, similarity(), "--pair-encoding=separate").exits(0);
    try (TrainedModel trained = TrainedModel.load(run)) {
      // Every text of 24 tokens or fewer is whole, whatever is beside it.
      List<Example> pairs =
          List.of(
              new Example("the thing", "in or", Example.UNLABELLED),
              new Example("in or", "the thing", Example.UNLABELLED),
              new Example("the thing", "the thing", Example.UNLABELLED));
      Predictions all = trained.predict(pairs);
      for (int i = 0; i < pairs.size(); i++) {
        assertEquals(
            all.value(i), trained.predict(List.of(pairs.get(i))).value(0), 1e-5, "pair " + i);
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "search | --strategy=all --rounds=2 --round-examples=16",
        "search | --strategy=authors --rounds=1 --round-examples=16 --seeds=1,2 --together",
        "search | --strategy=measured --validation-examples=24 --supernet-epochs=1 --subsets=24",
        "train | --precision=bf16 --gradient-accumulation-steps=2",
        "train | --modules=full",
      })
  void everyKindOfRunTakesThem(String command, String options) {
    Path run = temporary.resolve("kind-" + options.hashCode());
    call(command, model, run, similarity(), "--pair-encoding=separate", List.of(options.split(" ")))
        .exits(0);
    Path one = options.contains("--seeds") ? run.resolve("seed-2") : run;
    assertEquals(
        ((Number) Small.test(one).get("loss")).doubleValue(), evaluate(one).loss(), options);
  }

  @ParameterizedTest
  @CsvSource({"peft, --adapter-size=0", "adapters, --adapter-size=3"})
  void anExportHasTheHeadApartAndIsReadBack(String format, String modules) throws IOException {
    Path run = temporary.resolve("export-" + format);
    call("train", model, run, similarity(), "--pair-encoding=separate", modules).exits(0);
    Path adapter = temporary.resolve(format);
    Call.of("export", run, "--format=" + format, "--output=" + adapter).exits(0);
    Set<String> names = Small.names(adapter);
    assertTrue(names.contains("head.safetensors"), names.toString());
    assertFalse(names.contains("model_head.safetensors"), names.toString());
    Map<String, Object> origin = RunDirectory.open(adapter).readJson("prunepeft.json");
    assertEquals(List.of("u", "v", "|u-v|", "cos(u,v)"), origin.get("head_features"));
    if (format.equals("peft")) {
      Map<String, Object> config = RunDirectory.open(adapter).readJson("adapter_config.json");
      assertEquals("FEATURE_EXTRACTION", config.get("task_type"));
      assertEquals(null, config.get("modules_to_save"));
      try (SafeTensors tensors = SafeTensors.open(adapter.resolve("adapter_model.safetensors"))) {
        assertTrue(
            tensors.names().stream()
                .allMatch(name -> name.startsWith("base_model.model.encoder.layer.")),
            tensors.names().toString());
      }
    }
    Path imported = temporary.resolve(format + "-imported");
    Call.of("import", adapter, "--output=" + imported).exits(0);
    assertEquals("separate", encoding(imported));
    assertEquals(evaluate(run).loss(), evaluate(imported).loss());
    Files.delete(adapter.resolve("head.safetensors"));
    Path never = temporary.resolve(format + "-never");
    Call.of("import", adapter, "--output=" + never).exits(1);
    assertFalse(Files.exists(never));
  }

  @Test
  void aMergedModelHasTheHeadInIt() throws IOException {
    Path run = temporary.resolve("to-merge");
    call("train", model, run, similarity(), "--pair-encoding=separate", "--adapter-size=0")
        .exits(0);
    Path merged = temporary.resolve("merged");
    Call.of("export", run, "--merge", "--output=" + merged).exits(0);
    try (SafeTensors head = SafeTensors.open(run.resolve("head.safetensors"));
        SafeTensors model = SafeTensors.open(merged.resolve("model.safetensors"))) {
      for (String name : head.names()) {
        assertArrayEquals(head.bytes(name), model.bytes(name), name);
      }
    }
    String card = Files.readString(merged.resolve("README.md"));
    assertTrue(card.contains("in `modeling_text_pairs.py`. **Without"), card);
    assertTrue(card.contains("With u and v the means of their last hidden states"), card);
    assertTrue(RunDirectory.open(merged).readJson("prunepeft.json").containsKey("head_features"));
  }

  @Test
  void whatCannotBeIsRefused() {
    Path never = temporary.resolve("never");
    Call call = call("train", model, never, similarity(), "--pair-encoding=crossed").exits(2);
    assertTrue(call.err().contains("crossed") && call.err().contains("separate"), call.err());
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            "--pair-encoding=separate",
            "--output=" + never)
        .exits(2, "leave out --pair-encoding separate");
    assertFalse(Files.exists(never));
  }
}
