package org.prunepeft.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.protobuf.MessageFields.message;

import com.google.protobuf.ByteString;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.prunepeft.io.FormatException;
import org.prunepeft.protobuf.MessageFields;
import org.prunepeft.testing.TestSeed;

class OnnxWeightsTest {
  private static final String QUERY = "encoder.layer.0.attention.self.query.weight";

  @Test
  void miniLmHasEveryTensorOfABertEncoderUnderItsHuggingFaceName() throws IOException {
    OnnxWeights weights;
    try (var in = getClass().getResourceAsStream("/all-minilm-l6-v2.onnx")) {
      weights = OnnxWeights.read(in, "MiniLM");
    }

    long[] words = weights.shape("embeddings.word_embeddings.weight");
    int hidden = (int) words[1];
    int layers = 0;
    while (weights.names().contains("encoder.layer." + layers + ".output.dense.weight")) {
      layers++;
    }
    int intermediate = (int) weights.shape("encoder.layer.0.intermediate.dense.weight")[0];
    assertEquals(30522, words[0]);
    assertEquals(384, hidden);
    assertEquals(6, layers);
    assertEquals(1536, intermediate);
    assertArrayEquals(
        new long[] {512, hidden}, weights.shape("embeddings.position_embeddings.weight"));
    assertArrayEquals(
        new long[] {2, hidden}, weights.shape("embeddings.token_type_embeddings.weight"));

    var expected = new TreeSet<String>();
    for (String table : new String[] {"word", "position", "token_type"}) {
      expected.add("embeddings." + table + "_embeddings.weight");
    }
    addNorm(expected, "embeddings.LayerNorm");
    for (int layer = 0; layer < layers; layer++) {
      String prefix = "encoder.layer." + layer;
      for (String linear : new String[] {"self.query", "self.key", "self.value", "output.dense"}) {
        addLinear(expected, weights, prefix + ".attention." + linear, hidden, hidden);
      }
      addNorm(expected, prefix + ".attention.output.LayerNorm");
      addLinear(expected, weights, prefix + ".intermediate.dense", intermediate, hidden);
      addLinear(expected, weights, prefix + ".output.dense", hidden, intermediate);
      addNorm(expected, prefix + ".output.LayerNorm");
    }
    assertEquals(expected, weights.names());

    for (String name : expected) {
      long size = Arrays.stream(weights.shape(name)).reduce(1, (a, b) -> a * b);
      float[] values = weights.floats(name);
      assertEquals(size, values.length, name);
      double squares = 0;
      for (float value : values) {
        squares += value * value;
      }
      assertTrue(Double.isFinite(squares) && squares > 0, name);
    }
  }

  private static void addNorm(Set<String> names, String module) {
    names.add(module + ".weight");
    names.add(module + ".bias");
  }

  private static void addLinear(
      Set<String> names, OnnxWeights weights, String module, long out, long in) {
    addNorm(names, module);
    assertArrayEquals(new long[] {out, in}, weights.shape(module + ".weight"), module);
    assertArrayEquals(new long[] {out}, weights.shape(module + ".bias"), module);
  }

  @Test
  void aMatrixIsNamedByItsNodeAndTransposed() throws IOException {
    var weights =
        read(
            stream(
                model(
                    node("/encoder/layer.0/attention/self/query/MatMul", "MatMul", "x", "m"),
                    raw("m", new float[] {1, 2, 3, 4, 5, 6}, 2, 3))));
    assertEquals(Set.of(QUERY), weights.names());
    assertArrayEquals(new long[] {3, 2}, weights.shape(QUERY));
    assertArrayEquals(new float[] {1, 4, 2, 5, 3, 6}, weights.floats(QUERY));
    var part = ByteBuffer.allocate(12).order(ByteOrder.nativeOrder());
    weights.readFloats(QUERY, 2, part);
    assertArrayEquals(
        new float[] {2, 5, 3}, new float[] {part.getFloat(0), part.getFloat(4), part.getFloat(8)});
    assertThrows(IndexOutOfBoundsException.class, () -> weights.readFloats(QUERY, 4, part.clear()));
  }

  @Test
  void floatDataIsReadPackedAndOneByOne() throws IOException {
    var weights = read(stream(model(floats("a", true, 1, -2), floats("b", false, 3))));
    assertArrayEquals(new float[] {1, -2}, weights.floats("a"));
    assertArrayEquals(new float[] {3}, weights.floats("b"));
  }

  @Test
  void valuesInSeveralFieldsAreOneTensor() throws IOException {
    int fields = 100;
    byte[] data = new byte[fields * Float.BYTES];
    for (int i = 0; i < fields; i++) {
      ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).putFloat(i * Float.BYTES, i);
    }
    var weights =
        read(
            stream(
                model(
                    graph ->
                        graph.writeByteArray(
                            5,
                            message(
                                out -> {
                                  out.writeInt64(1, fields);
                                  out.writeInt32(2, 1);
                                  for (int i = 0; i < fields; i++) {
                                    out.writeBytes(9, ByteString.copyFrom(data, 4 * i, 4));
                                  }
                                  out.writeString(8, "a");
                                })))));
    float[] values = weights.floats("a");
    for (int i = 0; i < fields; i++) {
      assertEquals(i, values[i]);
    }
  }

  @Test
  void aClosedModelHasNoTensors() throws IOException {
    var weights = read(stream(model(floats("a", true, 1, -2))));
    weights.close();
    assertEquals(Set.of(), weights.names());
    assertThrows(NoSuchElementException.class, () -> weights.floats("a"));
  }

  @Test
  void aTensorThatIsMissingIsNamedWithTheReason() throws IOException {
    var weights = read(stream(model(raw("onnx::MatMul_7", new float[] {1}, 1, 1))));
    var e = assertThrows(NoSuchElementException.class, () -> weights.floats(QUERY));
    assertTrue(e.getMessage().contains(QUERY), e.getMessage());
    assertTrue(e.getMessage().contains("1 anonymous"), e.getMessage());
  }

  @Test
  void valuesThatDisagreeWithTheShapeAreRefused() {
    for (long[] shape :
        new long[][] {{3}, {-2}, {Long.MAX_VALUE, 4}, {1L << 32, 1L << 31}, {}, {0}}) {
      var e =
          assertThrows(
              FormatException.class, () -> read(stream(model(raw("w", new float[2], shape)))));
      assertTrue(e.getMessage().startsWith("w of the ONNX model"), e.getMessage());
    }
  }

  @Test
  void mutatedAndTruncatedModelsAreReadOrRefused() throws IOException {
    byte[] good =
        model(
            node("/encoder/layer.0/output/dense/MatMul", "MatMul", "x", "m"),
            raw("m", new float[] {1, 2, 3, 4, 5, 6}, 2, 3),
            floats("b", true, 1, 2, 3));
    for (int length = 0; length < good.length; length++) {
      byte[] cut = Arrays.copyOf(good, length);
      assertThrows(FormatException.class, () -> read(stream(cut)));
    }
    var random = TestSeed.random();
    for (int i = 0; i < 5000; i++) {
      byte[] bad = good.clone();
      for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
      }
      try {
        var weights = read(stream(bad));
        for (String name : weights.names()) {
          weights.floats(name);
        }
      } catch (FormatException e) {
        assertTrue(e.getMessage().length() > 10);
      }
    }
  }

  private static OnnxWeights read(ByteArrayInputStream model) throws IOException {
    return OnnxWeights.read(model, "a test");
  }

  private static ByteArrayInputStream stream(byte[] bytes) {
    return new ByteArrayInputStream(bytes);
  }

  private static byte[] model(MessageFields... parts) throws IOException {
    byte[] graph =
        message(
            out -> {
              for (MessageFields part : parts) {
                part.writeTo(out);
              }
            });
    return message(out -> out.writeByteArray(7, graph));
  }

  private static MessageFields node(String name, String opType, String... inputs) {
    return graph ->
        graph.writeByteArray(
            1,
            message(
                out -> {
                  for (String input : inputs) {
                    out.writeString(1, input);
                  }
                  out.writeString(3, name);
                  out.writeString(4, opType);
                }));
  }

  private static MessageFields raw(String name, float[] values, long... shape) {
    var data = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asFloatBuffer().put(values);
    return graph ->
        graph.writeByteArray(
            5,
            message(
                out -> {
                  for (long size : shape) {
                    out.writeInt64(1, size);
                  }
                  out.writeInt32(2, 1);
                  out.writeString(8, name);
                  out.writeBytes(9, ByteString.copyFrom(data));
                }));
  }

  private static MessageFields floats(String name, boolean packed, float... values) {
    return graph ->
        graph.writeByteArray(
            5,
            message(
                out -> {
                  out.writeInt64(1, values.length);
                  out.writeInt32(2, 1);
                  if (packed) {
                    out.writeUInt32NoTag(4 << 3 | 2);
                    out.writeUInt32NoTag(4 * values.length);
                  }
                  for (float value : values) {
                    if (packed) {
                      out.writeFloatNoTag(value);
                    } else {
                      out.writeFloat(4, value);
                    }
                  }
                  out.writeString(8, name);
                }));
  }
}
