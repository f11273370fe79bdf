package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.ProcessPeak;

/**
 * How the peak resident size of a process that loads a model grows with the model: by little more
 * than the weights, so that there is no second copy of them.
 */
@FixedSeed("memory does not depend on the numbers")
class LoadingMemoryTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double MOST = 1.15;

  @TempDir Path temporary;

  /**
   * A model's tensors by name.
   *
   * @param bits what bitsandbytes has quantised to 4 bits are the layers' linears; else nothing is
   */
  private record Model(EncoderConfig config, Map<String, long[]> shapes, boolean bits) {
    static Model of(String name, int layers) {
      return switch (name) {
        case "bert" -> bert(layers);
        case "llama" -> decoder(DecoderFamilies.llama(layers, 1024, 3072, 8, 64), false);
        case "phi3" -> decoder(DecoderFamilies.phi3(layers, 1024, 3072, 8, 64), false);
        case "nf4" -> decoder(DecoderFamilies.llama(layers, 1024, 3072, 8, 64), true);
        default -> throw new AssertionError(name);
      };
    }

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
      return new Model(config, shapes, false);
    }

    static Model decoder(Family family, boolean bits) {
      EncoderConfig config = family.config();
      Map<String, long[]> shapes = new LinkedHashMap<>();
      shapes.put("model.embed_tokens.weight", new long[] {config.vocabulary(), config.hidden()});
      shapes.put("model.norm.weight", new long[] {config.hidden()});
      for (int layer = 0; layer < config.layers(); layer++) {
        for (Projection projection : config.projections()) {
          String path = "model." + fused(config, layer, projection) + ".weight";
          long[] shape = {config.outputs(projection), config.inputs(projection)};
          // What is fused has the rows of all its projections.
          shapes.merge(path, shape, (above, own) -> new long[] {above[0] + own[0], own[1]});
        }
        for (Block block : Block.values()) {
          shapes.put(
              "model." + config.architecture().norm(layer, block) + ".weight",
              new long[] {config.hidden()});
        }
      }
      return new Model(config, shapes, bits);
    }

    private static String fused(EncoderConfig config, int layer, Projection projection) {
      boolean first =
          switch (projection) {
            case QUERY, KEY, VALUE -> true;
            default -> false;
          };
      boolean fused =
          first || projection == Projection.GATE || projection == Projection.INTERMEDIATE;
      return fused && config.architecture().hasFusedProjections()
          ? config.architecture().fusedPath(layer, first ? Projection.QUERY : Projection.GATE)
          : config.path(layer, projection);
    }

    /** Bytes of the weights in memory. */
    double bytes(Precision precision, Quantization quantization) {
      Quantization linears = bits ? Quantization.NF4 : quantization;
      double bytes = 0;
      for (Map.Entry<String, long[]> tensor : shapes.entrySet()) {
        bytes +=
            count(tensor.getValue())
                * (linears.isForced() && isLinear(tensor.getKey())
                    ? linears.preparedBytes()
                    : precision == Precision.BF16 ? Short.BYTES : Float.BYTES);
      }
      return bytes;
    }

    private static boolean isLinear(String name) {
      return name.contains("_proj");
    }

    /** As they lie in a file. */
    Map<String, Stored> stored(String dtype) {
      Map<String, Stored> stored = new LinkedHashMap<>();
      shapes.forEach(
          (name, shape) -> {
            if (bits && isLinear(name)) {
              stored.putAll(fourBits(name, shape));
            } else {
              stored.put(name, new Stored(dtype, shape, new byte[0]));
            }
          });
      return stored;
    }

    /** With scales that are quantised too, as QLoRA has them. */
    private static Map<String, Stored> fourBits(String name, long[] shape) {
      long blocks = count(shape) / 64;
      byte[] state =
          """
          {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [%d, %d],
           "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.5}
          """
              .formatted(shape[0], shape[1])
              .getBytes(StandardCharsets.UTF_8);
      byte[] none = {};
      // By name: the order says what comes to which shard.
      return new TreeMap<>(
          Map.of(
              name,
              new Stored("U8", new long[] {count(shape) / 2, 1}, none),
              name + ".quant_map",
              new Stored("F32", new long[] {16}, none),
              name + ".absmax",
              new Stored("U8", new long[] {blocks}, none),
              name + ".nested_quant_map",
              new Stored("F32", new long[] {256}, none),
              name + ".nested_absmax",
              new Stored("F32", new long[] {blocks / 256}, none),
              name + ".quant_state.bitsandbytes__nf4",
              new Stored("U8", new long[] {state.length}, state)));
    }

    static long count(long[] shape) {
      return LongStream.of(shape).reduce(1, (a, b) -> a * b);
    }
  }

  /**
   * A tensor in a file.
   *
   * @param content empty: zeros
   */
  private record Stored(String dtype, long[] shape, byte[] content) {
    long bytes() {
      int width =
          switch (dtype) {
            case "F32" -> Float.BYTES;
            case "F16", "BF16" -> Short.BYTES;
            default -> 1;
          };
      return Model.count(shape) * width;
    }
  }

  /**
   * @param shards files that the weights are spread over
   */
  @ParameterizedTest
  @CsvSource({
    "bert,  F32,  FLOAT32, AUTO, 1",
    "bert,  BF16, FLOAT32, AUTO, 1",
    "llama, F32,  FLOAT32, AUTO, 3",
    "llama, F32,  BF16,    AUTO, 1",
    "llama, BF16, BF16,    AUTO, 3",
    "llama, F16,  FLOAT32, AUTO, 1",
    "llama, F16,  BF16,    AUTO, 3",
    "phi3,  F16,  FLOAT32, AUTO, 3",
    "phi3,  BF16, BF16,    AUTO, 1",
    "nf4,   F16,  BF16,    AUTO, 1",
    "nf4,   F16,  FLOAT32, AUTO, 3",
    "llama, F16,  BF16,    NF4,  3",
    "llama, BF16, FLOAT32, INT8, 1",
    "phi3,  BF16, BF16,    NF4,  1",
    "phi3,  F16,  BF16,    INT8, 3",
  })
  void thePeakGrowsByLittleMoreThanTheWeights(
      String name, String dtype, Precision precision, Quantization quantization, int shards)
      throws IOException, InterruptedException {
    Model small = Model.of(name, 1);
    Model large = Model.of(name, layers(name, quantization));
    double more = large.bytes(precision, quantization) - small.bytes(precision, quantization);
    long growth =
        peak(large, dtype, precision, quantization, shards)
            - peak(small, dtype, precision, quantization, shards);
    double ratio = growth / more;
    System.out.printf(
        "loading %.0f MB more weights of %s in %s, %s, from %d files of %s raises the peak by %.3f of that%n",
        more / (1 << 20), name, precision, quantization, shards, dtype, ratio);
    assertTrue(ratio > 0.9 && ratio <= MOST, () -> name + ", " + dtype + ": " + ratio);
  }

  /** So many that they take some hundred megabytes. */
  private static int layers(String name, Quantization quantization) {
    return switch (name) {
      case "bert" -> 6;
      case "nf4" -> 24;
      default ->
          switch (quantization) {
            case NF4 -> 24;
            case INT8 -> 12;
            default -> 8;
          };
    };
  }

  private long peak(
      Model model, String dtype, Precision precision, Quantization quantization, int shards)
      throws IOException, InterruptedException {
    Path directory =
        Files.createDirectory(temporary.resolve("of " + model.config.layers() + " layers"));
    JSON.writeValue(
        directory.resolve("config.json").toFile(), HuggingFaceConfig.write(model.config));
    Files.writeString(directory.resolve("tokenizer.json"), "{}");
    List<Map<String, Stored>> files =
        IntStream.range(0, shards)
            .mapToObj(i -> (Map<String, Stored>) new LinkedHashMap<String, Stored>())
            .toList();
    ObjectNode index = JSON.createObjectNode();
    ObjectNode places = index.putObject("weight_map");
    int next = 0;
    for (var tensor : model.stored(dtype).entrySet()) {
      int shard = next++ % shards;
      files.get(shard).put(tensor.getKey(), tensor.getValue());
      places.put(tensor.getKey(), name(shard, shards));
    }
    for (int i = 0; i < shards; i++) {
      write(directory.resolve(name(i, shards)), files.get(i));
    }
    if (shards > 1) {
      JSON.writeValue(directory.resolve("model.safetensors.index.json").toFile(), index);
    }
    return ProcessPeak.of(Load.class, directory.toString(), precision.name(), quantization.name());
  }

  private static String name(int shard, int shards) {
    return shards == 1
        ? "model.safetensors"
        : "model-%05d-of-%05d.safetensors".formatted(shard + 1, shards);
  }

  /** A file without blocks on the disk where values are zero. */
  private static void write(Path file, Map<String, Stored> tensors) throws IOException {
    ObjectNode header = JSON.createObjectNode();
    long at = 0;
    for (var tensor : tensors.entrySet()) {
      Stored stored = tensor.getValue();
      ObjectNode entry = header.putObject(tensor.getKey()).put("dtype", stored.dtype);
      entry.set("shape", JSON.valueToTree(stored.shape));
      entry.putArray("data_offsets").add(at).add(at + stored.bytes());
      at += stored.bytes();
    }
    byte[] text = JSON.writeValueAsBytes(header);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).array());
      sparse.write(text);
      for (Stored stored : tensors.values()) {
        long begin = sparse.getFilePointer();
        sparse.write(stored.content);
        sparse.seek(begin + stored.bytes());
      }
      sparse.setLength(8 + text.length + at);
    }
  }

  /** What the measured process does. */
  static final class Load {
    public static void main(String[] arguments) {
      Models.byName(arguments[0])
          .loader()
          .load(
              Precision.valueOf(arguments[1]),
              Quantization.valueOf(arguments[2]),
              ComputeDevice.CPU)
          .encoder();
      ProcessPeak.print();
    }
  }
}
