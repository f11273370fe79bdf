package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.Assets;
import org.prunepeft.io.MavenArtifact;
import org.prunepeft.torch.Torch;

/** MiniLM and bge-small, of LibTorch operations, against ONNX Runtime on the same file. */
class OnnxModelsTest {
  private static final List<String> SENTENCES =
      List.of(
          "A feline.",
          "the act of pruning a tree so that it bears more fruit in the years that follow, done in winter",
          "Où est la bibliothèque? 42 ½ € — naïve façade",
          "a small domesticated carnivorous mammal with soft fur, a short snout, and retractable claws; it is widely kept as"
              + " a pet or for catching mice, and many breeds have been developed over several centuries of breeding",
          "x");

  @ParameterizedTest
  @CsvSource({"minilm, all-minilm-l6-v2.onnx, 6", "bge-small, bge-small-en-v1.5.onnx, 12"})
  void hiddenStatesAgreeWithOnnxRuntime(String name, String file, int layers)
      throws OrtException, IOException {
    Models.KnownModel model = Models.byName(name);
    byte[] onnx = bytes(model, file);
    Models.LoadedModel loaded = model.loader().load();
    assertEquals(layers, loaded.encoder().config().layers());
    agrees(loaded, onnx);
  }

  @ParameterizedTest
  @CsvSource({"minilm, all-minilm-l6-v2.onnx", "bge-small, bge-small-en-v1.5.onnx"})
  void writtenToADirectoryTheyStillAgree(String name, String file, @TempDir Path temporary)
      throws OrtException, IOException {
    Models.KnownModel model = Models.byName(name);
    byte[] onnx = bytes(model, file);
    Path directory = temporary.resolve(name);
    try (Pretrained parts = model.loader().open()) {
      parts.write(directory);
    }
    agrees(Models.byName(directory.toString()).loader().load(), onnx);
  }

  private static void agrees(Models.LoadedModel loaded, byte[] onnx) throws OrtException {
    try (Encoder encoder = loaded.encoder();
        Tokenizer tokenizer = Tokenizer.of(loaded.tokenizer(), 128);
        PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        OrtSession session =
            OrtEnvironment.getEnvironment().createSession(onnx, new OrtSession.SessionOptions())) {
      List<Encoding> encodings =
          SENTENCES.stream().map(text -> tokenizer.encode(text, null)).toList();
      int rows = encodings.size();
      int length = encodings.stream().mapToInt(e -> e.ids().length).max().orElseThrow();
      long[] ids = new long[rows * length];
      long[] types = new long[rows * length];
      byte[] mask = new byte[rows * length];
      for (int i = 0; i < rows; i++) {
        int[] row = encodings.get(i).ids();
        for (int j = 0; j < row.length; j++) {
          ids[i * length + j] = row[j];
          mask[i * length + j] = 1;
        }
      }
      float[] ours =
          Torch.toFloats(
              encoder.forward(EncoderInput.of(ids, types, mask, rows, length), Insertions.NONE));
      float[][][] theirs = run(session, ids, types, mask, rows, length);
      int hidden = encoder.config().hidden();
      double worst = 0;
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < encodings.get(i).ids().length; j++) {
          for (int k = 0; k < hidden; k++) {
            worst =
                Math.max(worst, Math.abs(ours[(i * length + j) * hidden + k] - theirs[i][j][k]));
          }
        }
      }
      double difference = worst;
      assertTrue(difference <= 1e-4, () -> "largest difference " + difference);
    }
  }

  private static byte[] bytes(Models.KnownModel model, String file) throws IOException {
    MavenArtifact download = model.download();
    assumeTrue(
        ModelResources.arePresent(download, file),
        () -> model.name() + "'s jar is absent: " + model.source());
    try (InputStream in =
        download == null ? Assets.open(file, "the model") : download.open(file, model.name())) {
      return in.readAllBytes();
    }
  }

  private static float[][][] run(
      OrtSession session, long[] ids, long[] types, byte[] mask, int rows, int length)
      throws OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    long[][] idRows = new long[rows][length];
    long[][] typeRows = new long[rows][length];
    long[][] maskRows = new long[rows][length];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < length; j++) {
        idRows[i][j] = ids[i * length + j];
        typeRows[i][j] = types[i * length + j];
        maskRows[i][j] = mask[i * length + j];
      }
    }
    Map<String, OnnxTensor> inputs = new HashMap<>();
    inputs.put("input_ids", OnnxTensor.createTensor(environment, idRows));
    inputs.put("attention_mask", OnnxTensor.createTensor(environment, maskRows));
    if (session.getInputNames().contains("token_type_ids")) {
      inputs.put("token_type_ids", OnnxTensor.createTensor(environment, typeRows));
    }
    try (OrtSession.Result result = session.run(inputs)) {
      return (float[][][]) result.get(0).getValue();
    }
  }
}
