package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.TestSeed;

/**
 * How the peak resident size of a process that loads a model grows with the model: by little more
 * than the weights, so that there is no second copy of them.
 */
class LoadingMemoryTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double MOST = 1.15;

  @TempDir Path temporary;

  @Test
  void thePeakGrowsByLittleMoreThanTheWeights() throws IOException, InterruptedException {
    long[] small = peak(1, "F32");
    for (String dtype : new String[] {"F32", "BF16"}) {
      long[] large = peak(6, dtype);
      double ratio = (double) (large[1] - small[1]) / (large[0] - small[0]);
      System.out.printf(
          "loading %d MB more weights from %s raises the peak by %.3f of that%n",
          (large[0] - small[0]) >> 20, dtype, ratio);
      assertTrue(ratio > 0.9 && ratio <= MOST, () -> dtype + ": " + ratio);
    }
  }

  /** Bytes of the weights in memory, and the peak resident size in bytes of loading them. */
  private long[] peak(int layers, String dtype) throws IOException, InterruptedException {
    EncoderConfig config = EncoderConfig.bert(layers, 1024, 16, 4096, 97, 64);
    Path directory = Files.createDirectory(temporary.resolve(dtype + layers));
    JSON.writeValue(directory.resolve("config.json").toFile(), HuggingFaceConfig.write(config));
    Files.writeString(directory.resolve("tokenizer.json"), "{}");
    EncoderConfig shapes = EncoderConfig.bert(layers, 4, 2, 4, 97, 64);
    long values = zeros(directory.resolve("model.safetensors"), config, shapes, dtype);
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Dorg.bytedeco.javacpp.maxBytes=0",
                "-cp",
                System.getProperty("java.class.path"),
                Load.class.getName(),
                directory.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes());
    assertTrue(process.waitFor() == 0, output);
    String peak = output.lines().filter(line -> line.startsWith("VmHWM:")).findFirst().orElse("");
    return new long[] {values * Float.BYTES, Long.parseLong(peak.replaceAll("\\D", "")) * 1024};
  }

  /**
   * A file without blocks on the disk, all of whose values are zero.
   *
   * @param small a configuration with as many tensors
   * @return how many values it has
   */
  private static long zeros(Path file, EncoderConfig config, EncoderConfig small, String dtype)
      throws IOException {
    Map<String, SafeTensors.Tensor> names = RandomCheckpoint.tensors(small, TestSeed.random());
    ObjectNode header = JSON.createObjectNode();
    long values = 0;
    int width = dtype.equals("F32") ? 4 : 2;
    for (var tensor : names.entrySet()) {
      long[] shape = tensor.getValue().shape().clone();
      long count = 1;
      for (int i = 0; i < shape.length; i++) {
        boolean inner =
            tensor.getKey().contains("intermediate") && i == 0
                || tensor.getKey().matches(".*\\d\\.output\\.dense\\.weight") && i == 1;
        shape[i] = inner ? config.intermediate() : shape[i] == 4 ? config.hidden() : shape[i];
        count *= shape[i];
      }
      ObjectNode entry = header.putObject(tensor.getKey()).put("dtype", dtype);
      entry.set("shape", JSON.valueToTree(shape));
      entry.putArray("data_offsets").add(values * width).add((values + count) * width);
      values += count;
    }
    byte[] text = JSON.writeValueAsBytes(header);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).array());
      sparse.write(text);
      sparse.setLength(8 + text.length + values * width);
    }
    return values;
  }

  /** What the measured process does. */
  static final class Load {
    public static void main(String[] arguments) throws IOException {
      Models.byName(arguments[0]).loader().load();
      Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .forEach(System.out::println);
    }
  }
}
