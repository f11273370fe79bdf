package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Example;
import org.prunepeft.testing.FixedSeed;

/** Runs of a tiny model, exported and computed by ONNX Runtime from their texts on. */
@FixedSeed("the weights are a prop: OnnxModelTest, which has the same bounds, draws them")
class OnnxExportTest {
  @TempDir static Path temporary;
  private static TextRuns runs;

  @BeforeAll
  static void write() throws IOException {
    runs =
        TextRuns.write(
            temporary, OnnxExportTest::text, i -> List.of("no", "perhaps", "yes").get(i % 3));
  }

  private static String text(int i) {
    List<String> words = List.of("the", "thing", "in", "or", "a", "other");
    return IntStream.rangeClosed(0, i % 7)
        .mapToObj(k -> words.get((i + k * k) % words.size()))
        .collect(Collectors.joining(" "));
  }

  /** Of each pair, or of each text, what an exported model gives; each is a batch of its own. */
  private static float[][] outputs(Path export, List<Example> examples, boolean separate)
      throws IOException, OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    float[][] outputs = new float[examples.size()][];
    try (HuggingFaceTokenizer tokenizer =
            HuggingFaceTokenizer.newInstance(export.resolve("tokenizer.json"));
        OrtSession session = environment.createSession(export.resolve("model.onnx").toString())) {
      for (int i = 0; i < outputs.length; i++) {
        Example example = examples.get(i);
        Map<String, OnnxTensor> inputs = new HashMap<>();
        if (example.pair() == null || separate) {
          put(session, inputs, "", tokenizer.encode(example.text()));
          if (separate) {
            put(session, inputs, "_2", tokenizer.encode(example.pair()));
          }
        } else {
          put(session, inputs, "", tokenizer.encode(example.text(), example.pair()));
        }
        try (OrtSession.Result result = session.run(inputs)) {
          outputs[i] = ((float[][]) result.get("logits").orElseThrow().getValue())[0];
        }
        inputs.values().forEach(OnnxTensor::close);
      }
    }
    return outputs;
  }

  private static void put(
      OrtSession session, Map<String, OnnxTensor> inputs, String suffix, Encoding encoding)
      throws OrtException {
    Map<String, long[]> rows =
        Map.of(
            "input_ids", encoding.getIds(),
            "attention_mask", encoding.getAttentionMask(),
            "token_type_ids", encoding.getTypeIds());
    for (Map.Entry<String, long[]> row : rows.entrySet()) {
      String name = row.getKey() + suffix;
      if (session.getInputNames().contains(name)) {
        inputs.put(
            name,
            OnnxTensor.createTensor(
                OrtEnvironment.getEnvironment(), new long[][] {row.getValue()}));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "tiny-roberta, single, --label-column=label",
    "tiny-bert, typed, --label-column=label --adapter-size=0",
    "tiny-roberta, full, --label-column=label --modules=full",
    "tiny-roberta, vera, '--label-column=label --lora-r=0 --module-types=vera"
        + " --module-settings=vera.rank=6,vera.targets=query,vera.seed=3'",
    "tiny-roberta, joint, --label-column=label --text-pair-column=second --pair-encoding=joint"
        + " --adapter-config=houlsby",
    "tiny-bert, typed-joint, --label-column=label --text-pair-column=second --pair-encoding=joint",
    "tiny-roberta, number, --label-column=number --do-regression --text-pair-column=second --adapter-size=0",
    "tiny-bert, separate, --label-column=number --do-regression --text-pair-column=second"
        + " --pair-encoding=separate",
  })
  void onnxRuntimePredictsWhatTheRunDoes(String model, String name, String options)
      throws IOException, OrtException {
    Path run = runs.train(model, name, options.split(" "));
    Path export = runs.export(run, name + "-onnx");
    assertEquals(
        Set.of(
            "README.md",
            "config.json",
            "model.onnx",
            "prunepeft.json",
            "tokenizer.json",
            "tokenizer_config.json"),
        Small.names(export));
    boolean pairs = options.contains("second");
    String longest = "the other thing in a thing or ".repeat(12); // the run takes 24 tokens
    List<Example> examples =
        Stream.of(text(0), text(5), text(13), longest)
            .map(text -> new Example(text, pairs ? "or " + text : null, Example.UNLABELLED))
            .toList();
    assertEquals(model.equals(TextRuns.BERT), takesTypes(export));
    float[][] theirs = outputs(export, examples, options.contains("separate"));
    try (TrainedModel trained = TrainedModel.load(run)) {
      float[] ours = trained.predict(examples).outputs();
      for (int i = 0; i < ours.length; i++) {
        int width = ours.length / theirs.length;
        assertEquals(ours[i], theirs[i / width][i % width], 1e-4, "output " + i);
      }
    }
  }

  private static boolean takesTypes(Path export) throws OrtException {
    try (OrtSession session =
        OrtEnvironment.getEnvironment().createSession(export.resolve("model.onnx").toString())) {
      return session.getInputNames().contains("token_type_ids");
    }
  }

  @Test
  void weightsInEightBitsTakeAQuarter() throws IOException, OrtException {
    Path run = runs.train(TextRuns.ROBERTA, "int8", "--label-column=label");
    Path whole = runs.export(run, "float32-onnx", "--external-data");
    Path small = runs.export(run, "int8-onnx", "--int8", "--external-data");
    long before = Files.size(whole.resolve("model.onnx_data"));
    long after = Files.size(small.resolve("model.onnx_data"));
    assertTrue(after < 0.35 * before, after + " of " + before);
    List<Example> examples = List.of(new Example("the other thing", null, Example.UNLABELLED));
    float[] exact = outputs(whole, examples, false)[0];
    float[] rounded = outputs(small, examples, false)[0];
    for (int k = 0; k < exact.length; k++) {
      assertEquals(exact[k], rounded[k], 0.2, "output " + k);
    }
  }

  @Test
  void theEncoderAloneHasItsHeadApart() throws IOException {
    Path run = runs.train(TextRuns.ROBERTA, "embeddings", "--label-column=label");
    Path export = runs.export(run, "embeddings-onnx", "--encoder-only");
    assertTrue(Files.exists(export.resolve("head.safetensors")));
  }

  @Test
  void itsOptionsAreForNoOtherFormat() {
    Path run = runs.train(TextRuns.ROBERTA, "others", "--label-column=label", "--adapter-size=0");
    Path never = temporary.resolve("never");
    for (String other : List.of("--format=peft", "--merge")) {
      Call.of("export", run, other, "--int8", "--output=" + never)
          .exits(2, "are for --format onnx alone");
    }
    assertFalse(Files.exists(never));
  }
}
