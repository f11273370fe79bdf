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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.ProcessPeak;

/**
 * How the peak resident size of a process that loads a model grows with the model: by little more
 * than the weights, so that there is no second copy of them.
 */
class LoadingMemoryTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double MOST = 1.15;

  @TempDir Path temporary;

  /** Names and shapes of a model's tensors. */
  private record Model(EncoderConfig config, Map<String, long[]> shapes) {
    static Model bert(int layers) {
      EncoderConfig config = EncoderConfig.bert(layers, 1024, 16, 4096, 97, 64);
      EncoderConfig small = EncoderConfig.bert(layers, 4, 2, 4, 97, 64);
      Map<String, long[]> shapes = new LinkedHashMap<>();
      RandomCheckpoint.tensors(small, TestSeed.random())
          .forEach(
              (name, tensor) -> {
                long[] shape = tensor.shape().clone();
                for (int i = 0; i < shape.length; i++) {
                  boolean inner =
                      name.contains("intermediate") && i == 0
                          || name.matches(".*\\d\\.output\\.dense\\.weight") && i == 1;
                  shape[i] =
                      inner ? config.intermediate() : shape[i] == 4 ? config.hidden() : shape[i];
                }
                shapes.put(name, shape);
              });
      return new Model(config, shapes);
    }

    static Model llama(int layers) {
      Family family = DecoderFamilies.llama(layers, 1024, 3072, 8, 64);
      EncoderConfig config = family.config();
      Map<String, long[]> shapes = new LinkedHashMap<>();
      shapes.put("model.embed_tokens.weight", new long[] {config.vocabulary(), config.hidden()});
      shapes.put("model.norm.weight", new long[] {config.hidden()});
      for (int layer = 0; layer < layers; layer++) {
        for (Projection projection : config.projections()) {
          shapes.put(
              "model." + config.path(layer, projection) + ".weight",
              new long[] {config.outputs(projection), config.inputs(projection)});
        }
        for (Block block : Block.values()) {
          shapes.put(
              "model." + config.architecture().norm(layer, block) + ".weight",
              new long[] {config.hidden()});
        }
      }
      return new Model(config, shapes);
    }

    long values() {
      return shapes.values().stream().mapToLong(Model::count).sum();
    }

    static long count(long[] shape) {
      return LongStream.of(shape).reduce(1, (a, b) -> a * b);
    }
  }

  /**
   * @param shards files that the weights are spread over
   */
  @ParameterizedTest
  @CsvSource({
    "false, F32,  FLOAT32, 1",
    "false, BF16, FLOAT32, 1",
    "true,  F32,  FLOAT32, 3",
    "true,  F32,  BF16,    1",
    "true,  BF16, BF16,    3",
  })
  void thePeakGrowsByLittleMoreThanTheWeights(
      boolean decoder, String dtype, Precision precision, int shards)
      throws IOException, InterruptedException {
    Model small = decoder ? Model.llama(1) : Model.bert(1);
    Model large = decoder ? Model.llama(8) : Model.bert(6);
    long width = precision == Precision.BF16 ? Short.BYTES : Float.BYTES;
    long more = (large.values() - small.values()) * width;
    long growth = peak(large, dtype, precision, shards) - peak(small, dtype, precision, shards);
    double ratio = (double) growth / more;
    System.out.printf(
        "loading %d MB more weights in %s from %d files of %s raises the peak by %.3f of that%n",
        more >> 20, precision, shards, dtype, ratio);
    assertTrue(ratio > 0.9 && ratio <= MOST, () -> dtype + ": " + ratio);
  }

  private long peak(Model model, String dtype, Precision precision, int shards)
      throws IOException, InterruptedException {
    Path directory =
        Files.createDirectory(temporary.resolve("of " + model.config.layers() + " layers"));
    JSON.writeValue(
        directory.resolve("config.json").toFile(), HuggingFaceConfig.write(model.config));
    Files.writeString(directory.resolve("tokenizer.json"), "{}");
    List<Map<String, long[]>> files =
        IntStream.range(0, shards)
            .mapToObj(i -> (Map<String, long[]>) new LinkedHashMap<String, long[]>())
            .toList();
    ObjectNode index = JSON.createObjectNode();
    ObjectNode places = index.putObject("weight_map");
    int next = 0;
    for (var tensor : model.shapes.entrySet()) {
      int shard = next++ % shards;
      files.get(shard).put(tensor.getKey(), tensor.getValue());
      places.put(tensor.getKey(), name(shard, shards));
    }
    for (int i = 0; i < shards; i++) {
      zeros(directory.resolve(name(i, shards)), files.get(i), dtype);
    }
    if (shards > 1) {
      JSON.writeValue(directory.resolve("model.safetensors.index.json").toFile(), index);
    }
    return ProcessPeak.of(Load.class, directory.toString(), precision.name());
  }

  private static String name(int shard, int shards) {
    return shards == 1
        ? "model.safetensors"
        : "model-%05d-of-%05d.safetensors".formatted(shard + 1, shards);
  }

  /** A file without blocks on the disk, all of whose values are zero. */
  private static void zeros(Path file, Map<String, long[]> shapes, String dtype)
      throws IOException {
    ObjectNode header = JSON.createObjectNode();
    long values = 0;
    int width = dtype.equals("F32") ? 4 : 2;
    for (var tensor : shapes.entrySet()) {
      long count = Model.count(tensor.getValue());
      ObjectNode entry = header.putObject(tensor.getKey()).put("dtype", dtype);
      entry.set("shape", JSON.valueToTree(tensor.getValue()));
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
  }

  /** What the measured process does. */
  static final class Load {
    public static void main(String[] arguments) {
      Models.byName(arguments[0])
          .loader()
          .load(Precision.valueOf(arguments[1]), ComputeDevice.CPU)
          .encoder();
      ProcessPeak.print();
    }
  }
}
