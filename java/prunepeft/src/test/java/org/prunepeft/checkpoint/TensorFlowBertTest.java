package org.prunepeft.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.protobuf.MessageFields.message;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.prunepeft.io.FormatException;
import org.prunepeft.testing.TestSeed;

/** Indexes written here by the description of the format, with keys that share beginnings. */
class TensorFlowBertTest {
  private final Map<String, byte[]> entries = new TreeMap<>();
  private final ByteArrayOutputStream data = new ByteArrayOutputStream();

  TensorFlowBertTest() throws IOException {
    entries.put("", header(1, 0));
  }

  @Test
  void variablesHaveHuggingFaceNamesAndLayout() throws IOException {
    variable("module/bert/embeddings/word_embeddings", new float[] {1, 2, 3, 4}, 2, 2);
    variable("module/bert/embeddings/LayerNorm/gamma", new float[] {5}, 1);
    variable("module/bert/embeddings/LayerNorm/beta", new float[] {6}, 1);
    variable(
        "module/bert/encoder/layer_11/attention/self/query/kernel",
        new float[] {1, 2, 3, 4, 5, 6},
        2,
        3);
    variable("module/bert/encoder/layer_11/attention/self/query/bias", new float[] {7, 8, 9}, 3);
    variable("module/cls/predictions/output_bias", new float[] {0.5f, 1.5f}, 2);
    TensorFlowBert bert = read();
    assertEquals(
        Set.of(
            "bert.embeddings.word_embeddings.weight",
            "bert.embeddings.LayerNorm.weight",
            "bert.embeddings.LayerNorm.bias",
            "bert.encoder.layer.11.attention.self.query.weight",
            "bert.encoder.layer.11.attention.self.query.bias",
            "cls.predictions.bias"),
        bert.names());
    String query = "bert.encoder.layer.11.attention.self.query.weight";
    assertArrayEquals(new long[] {3, 2}, bert.shape(query));
    assertArrayEquals(new float[] {1, 4, 2, 5, 3, 6}, bert.floats(query));
    assertArrayEquals(
        new float[] {1, 2, 3, 4}, bert.floats("bert.embeddings.word_embeddings.weight"));
    assertArrayEquals(new float[] {6}, bert.floats("bert.embeddings.LayerNorm.bias"));
    assertThrows(NoSuchElementException.class, () -> bert.floats("query"));
    assertThrows(
        IndexOutOfBoundsException.class, () -> bert.readFloats(query, 3, ByteBuffer.allocate(16)));
  }

  @Test
  void variablesOfOtherTypesAreLeftOut() throws IOException {
    variable("bert/a", new float[] {1}, 1);
    entries.put("global_step", entry(9, 0, 0, 8, 0));
    assertEquals(Set.of("bert.a"), read().names());
  }

  @Test
  void anEntryThatLiesOutsideTheDataOrDisagreesWithItsShapeIsRefused() throws IOException {
    variable("bert/a", new float[] {1, 2}, 2);
    byte[] good = entries.get("bert/a");
    read();
    refused("beyond the 8 bytes", "bert/a", entry(1, 0, 4, 8, 0, 2));
    refused("beyond the 8 bytes", "bert/a", entry(1, 0, -4, 8, 0, 2));
    refused("beyond the 8 bytes", "bert/a", entry(1, 0, Long.MAX_VALUE, 8, 0, 2));
    refused("has 8 bytes", "bert/a", entry(1, 0, 0, 8, 0, 3));
    refused("has 8 bytes", "bert/a", entry(1, 0, 0, 8, 0, -2));
    refused("has 4 bytes", "bert/a", entry(1, 0, 0, 4, 0, 1L << 62, 4));
    refused("in shard 1", "bert/a", entry(1, 1, 0, 8, 0, 2));
    refused("has checksum", "bert/a", entry(1, 0, 0, 8, 1, 2));
    refused("1 shard", "", header(2, 0));
    refused("little-endian", "", header(1, 1));
    entries.put("bert/a", good);
    entries.remove("");
    assertTrue(assertThrows(FormatException.class, this::read).getMessage().contains("no header"));
  }

  private void refused(String message, String key, byte[] value) {
    byte[] before = entries.put(key, value);
    var e = assertThrows(FormatException.class, this::read);
    assertTrue(e.getMessage().contains(message), e.getMessage());
    entries.put(key, before);
  }

  @Test
  void mutatedAndTruncatedIndexesAreRefusedOrReadAlike() throws IOException {
    variable("bert/encoder/layer_0/output/dense/kernel", new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    variable("bert/encoder/layer_0/output/dense/bias", new float[] {1, 2, 3}, 3);
    byte[] good = index();
    for (int length = 0; length < good.length; length++) {
      byte[] cut = Arrays.copyOf(good, length);
      assertThrows(
          FormatException.class, () -> new TensorFlowBert(cut, data.toByteArray(), "a test"));
    }
    Random random = TestSeed.random();
    int refused = 0;
    int inputs = TestSeed.iterations(20_000);
    for (int i = 0; i < inputs; i++) {
      byte[] bad = good.clone();
      for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
      }
      // Half of them with right checksums, so that what is behind is reached.
      if (random.nextBoolean()) {
        reseal(bad);
      }
      try {
        TensorFlowBert bert = new TensorFlowBert(bad, data.toByteArray(), "a test");
        for (String name : bert.names()) {
          bert.floats(name);
        }
      } catch (FormatException e) {
        assertFalse(e.getMessage().isBlank());
        refused++;
      }
    }
    assertTrue(2 * refused > inputs, "refused: " + refused);
  }

  /** Writes the checksum of the first block anew. */
  private void reseal(byte[] index) throws IOException {
    int size = block(entries).length - 5;
    ByteBuffer.wrap(index)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(size + 1, masked(Arrays.copyOf(index, size + 1)));
  }

  private TensorFlowBert read() throws IOException {
    return new TensorFlowBert(index(), data.toByteArray(), "a test");
  }

  private void variable(String name, float[] values, long... shape) throws IOException {
    var bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    entries.put(name, entry(1, 0, data.size(), 4 * values.length, masked(bytes.array()), shape));
    data.write(bytes.array());
  }

  private static byte[] header(int shards, int endianness) throws IOException {
    return message(
        out -> {
          out.writeInt32(1, shards);
          out.writeInt32(2, endianness);
        });
  }

  private static byte[] entry(
      int dtype, int shard, long offset, long size, int checksum, long... shape)
      throws IOException {
    byte[] sizes =
        message(
            out -> {
              for (long extent : shape) {
                out.writeByteArray(2, message(dim -> dim.writeInt64(1, extent)));
              }
            });
    return message(
        out -> {
          out.writeInt32(1, dtype);
          out.writeByteArray(2, sizes);
          out.writeInt32(3, shard);
          out.writeInt64(4, offset);
          out.writeInt64(5, size);
          out.writeFixed32(6, checksum);
        });
  }

  /** Two data blocks, the index of them, an empty meta index and the footer. */
  private byte[] index() throws IOException {
    var file = new ByteArrayOutputStream();
    Map<String, byte[]> handles = new TreeMap<>();
    byte[] first = block(entries);
    handles.put("zzz", handle(0, first.length));
    file.write(first);
    long metaAt = file.size();
    byte[] meta = block(Map.of());
    file.write(meta);
    long indexAt = file.size();
    byte[] blocks = block(handles);
    file.write(blocks);
    var footer = ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN);
    footer.put(handle(metaAt, meta.length)).put(handle(indexAt, blocks.length));
    footer.putLong(40, 0xdb4775248b80fb57L);
    file.write(footer.array());
    return file.toByteArray();
  }

  private static byte[] handle(long offset, int lengthWithTrailer) throws IOException {
    return message(
        out -> {
          out.writeUInt64NoTag(offset);
          out.writeUInt64NoTag(lengthWithTrailer - 5);
        });
  }

  private static byte[] block(Map<String, byte[]> entries) throws IOException {
    var block = new ByteArrayOutputStream();
    List<Integer> restarts = new ArrayList<>(List.of(0));
    byte[] last = {};
    int count = 0;
    for (var entry : new TreeMap<>(entries).entrySet()) {
      byte[] key = entry.getKey().getBytes(StandardCharsets.UTF_8);
      int shared = Math.max(0, Arrays.mismatch(last, key));
      if (count++ % 4 == 3) {
        restarts.add(block.size());
        shared = 0;
      }
      int common = shared;
      block.write(
          message(
              out -> {
                out.writeUInt32NoTag(common);
                out.writeUInt32NoTag(key.length - common);
                out.writeUInt32NoTag(entry.getValue().length);
                out.writeRawBytes(Arrays.copyOfRange(key, common, key.length));
                out.writeRawBytes(entry.getValue());
              }));
      last = key;
    }
    var tail = ByteBuffer.allocate(4 * restarts.size() + 4).order(ByteOrder.LITTLE_ENDIAN);
    restarts.forEach(tail::putInt);
    block.write(tail.putInt(restarts.size()).array());
    block.write(0);
    byte[] sealed = block.toByteArray();
    var whole = ByteBuffer.allocate(sealed.length + 4).order(ByteOrder.LITTLE_ENDIAN);
    return whole.put(sealed).putInt(masked(sealed)).array();
  }

  private static int masked(byte[] bytes) {
    var crc = new CRC32C();
    crc.update(bytes, 0, bytes.length);
    int value = (int) crc.getValue();
    return (value >>> 15 | value << 17) + 0xa282ead8;
  }
}
