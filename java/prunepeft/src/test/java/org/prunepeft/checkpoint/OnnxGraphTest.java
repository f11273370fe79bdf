package org.prunepeft.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.checkpoint.OnnxGraph.ElementType;
import org.prunepeft.io.FormatException;

/** What is written is read back; ONNX Runtime reads it in {@code formats.OnnxModelTest}. */
class OnnxGraphTest {
  @TempDir Path temporary;

  private static OnnxGraph.Values numbers(int count) {
    return channel -> {
      ByteBuffer bytes = ByteBuffer.allocate(count * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < count; i++) {
        bytes.putFloat(i);
      }
      channel.write(bytes.flip());
    };
  }

  private OnnxWeights read(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return OnnxWeights.read(in, file.toString());
    }
  }

  @Test
  void valuesGoIntoAnotherFileWhereOneWouldBeTooLarge() throws IOException {
    Path file = temporary.resolve("model.onnx");
    for (long largest : new long[] {4000, 3000}) {
      OnnxGraph graph = new OnnxGraph(largest);
      graph.initialiser("small", ElementType.FLOAT, new long[] {2}, numbers(2));
      graph.initialiser("large", ElementType.FLOAT, new long[] {30, 30}, numbers(900));
      graph.write(file, false);
      Path data = temporary.resolve("model.onnx_data");
      if (largest == 4000) {
        assertFalse(Files.exists(data));
        assertEquals(899, read(file).floats("large")[899]);
      } else {
        assertEquals(3600, Files.size(data));
        assertTrue(Files.size(file) < 300);
        String message = assertThrows(FormatException.class, () -> read(file)).getMessage();
        assertTrue(message.contains("keeps large in another file"), message);
      }
    }
  }

  @Test
  void fourGigabytesGoIntoAnotherFile() {
    OnnxGraph graph = new OnnxGraph();
    graph.initialiser(
        "huge",
        ElementType.FLOAT,
        new long[] {1 << 15, 1 << 15},
        channel -> {
          try (Stream<Path> begun = Files.list(temporary)) {
            throw new IOException("begun: " + begun.toList());
          }
        });
    Path file = temporary.resolve("huge.onnx");
    String message = assertThrows(IOException.class, () -> graph.write(file, false)).getMessage();
    assertTrue(message.contains(".huge.onnx_data."), message);
  }

  @Test
  void tooFewValuesAreAnError() {
    OnnxGraph graph = new OnnxGraph();
    graph.initialiser("short", ElementType.FLOAT, new long[] {5}, numbers(4));
    Path file = temporary.resolve("short.onnx");
    String message =
        assertThrows(IllegalStateException.class, () -> graph.write(file, false)).getMessage();
    assertEquals("short must have 20 bytes, got 16", message);
    assertFalse(Files.exists(file));
  }
}
