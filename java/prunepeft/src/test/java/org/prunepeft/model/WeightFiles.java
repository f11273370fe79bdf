package org.prunepeft.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.io.SafeTensors.Tensor;

/** Weights of a Hugging Face directory in types of every width, as one file or in shards. */
final class WeightFiles {
  private static final ObjectMapper JSON = new ObjectMapper();

  private WeightFiles() {}

  /** What a tensor's values are once stored in a type. */
  static Tensor rounded(Tensor tensor, String dtype) {
    float[] values = tensor.values().clone();
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (dtype) {
            // Of a half's 11 bits; none of the values is outside its normal range.
            case "F16" -> cut(values[i], 13);
            case "BF16" -> cut(values[i], 16);
            default -> values[i];
          };
    }
    return new Tensor(tensor.shape(), values);
  }

  private static float cut(float value, int bits) {
    float tiny = 0x1p-14f;
    return Math.abs(value) < tiny
        ? 0
        : Float.intBitsToFloat(Float.floatToRawIntBits(value) >> bits << bits);
  }

  /**
   * Writes a file in a type, which the library's writer may not have, as the format is described.
   */
  static void write(Path file, Map<String, Tensor> tensors, String dtype) throws IOException {
    int width =
        switch (dtype) {
          case "F64" -> 8;
          case "F32", "I32" -> 4;
          default -> 2;
        };
    int total = tensors.values().stream().mapToInt(tensor -> tensor.values().length).sum();
    ByteBuffer data = ByteBuffer.allocate(total * width).order(ByteOrder.LITTLE_ENDIAN);
    ObjectNode header = JSON.createObjectNode();
    for (var entry : tensors.entrySet()) {
      int begin = data.position();
      for (float value : entry.getValue().values()) {
        int bits = Float.floatToRawIntBits(value);
        switch (dtype) {
          case "F64" -> data.putDouble(value);
          case "F32", "I32" -> data.putInt(bits);
          case "BF16" -> data.putShort((short) (bits >> 16));
          default ->
              data.putShort(
                  (short)
                      (value == 0
                          ? 0
                          : bits >> 16 & 0x8000
                              | (bits >> 23 & 0xff) - 112 << 10
                              | bits >> 13 & 0x3ff));
        }
      }
      ObjectNode tensor = header.putObject(entry.getKey());
      tensor.put("dtype", dtype);
      tensor.set("shape", JSON.valueToTree(entry.getValue().shape()));
      tensor.set("data_offsets", JSON.valueToTree(new int[] {begin, data.position()}));
    }
    byte[] text = JSON.writeValueAsBytes(header);
    ByteBuffer all =
        ByteBuffer.allocate(8 + text.length + data.capacity()).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, all.putLong(text.length).put(text).put(data.flip()).array());
  }

  /**
   * Writes two shards, tensors in turn, and their index.
   *
   * @return the file of each tensor
   */
  static Map<String, String> shards(Path directory, Map<String, Tensor> tensors, String dtype)
      throws IOException {
    Map<String, String> places = new LinkedHashMap<>();
    Map<String, Map<String, Tensor>> shards = new TreeMap<>();
    int count = 0;
    for (String name : tensors.keySet()) {
      String shard = "model-" + (1 + count++ % 2) + ".safetensors";
      places.put(name, shard);
      shards.computeIfAbsent(shard, key -> new TreeMap<>()).put(name, tensors.get(name));
    }
    for (var shard : shards.entrySet()) {
      write(directory.resolve(shard.getKey()), shard.getValue(), dtype);
    }
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        "{\"metadata\": {\"total_size\": 1}, \"weight_map\": %s}"
            .formatted(JSON.writeValueAsString(places)));
    return places;
  }
}
