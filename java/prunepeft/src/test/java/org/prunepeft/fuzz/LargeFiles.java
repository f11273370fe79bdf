package org.prunepeft.fuzz;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.ObjIntConsumer;
import java.util.zip.CRC32C;
import java.util.zip.GZIPOutputStream;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroupFactory;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.Util;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.prunepeft.testing.Growth;
import org.prunepeft.testing.ReaderFiles;

/** Files of binary formats that have many parts. */
final class LargeFiles {
  private LargeFiles() {}

  /**
   * A safetensors file.
   *
   * @param entries each tensor's members but for data_offsets, and how many bytes it has
   * @param metadata members
   */
  static byte[] safetensors(List<TensorEntry> entries, String metadata) {
    StringBuilder header = new StringBuilder("{\"__metadata__\":{").append(metadata).append('}');
    int end = 0;
    for (TensorEntry entry : entries) {
      header
          .append(
              ",\"%s\":{\"dtype\":\"%s\",\"shape\":%s"
                  .formatted(entry.name, entry.dtype, entry.shape))
          .append(",\"data_offsets\":[%d,%d]}".formatted(end, end += entry.data.length));
    }
    byte[] text = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer file = ByteBuffer.allocate(8 + text.length + end).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(text.length).put(text);
    entries.forEach(entry -> file.put(entry.data));
    return file.array();
  }

  /** A tensor. */
  record TensorEntry(String name, String dtype, String shape, byte[] data) {}

  static byte[] safetensors(int tensors, IntFunction<String> name, String dtype, int bytes) {
    List<TensorEntry> entries = new ArrayList<>();
    for (int i = 0; i < tensors; i++) {
      entries.add(new TensorEntry(name.apply(i), dtype, "[1]", new byte[bytes]));
    }
    return safetensors(entries, "");
  }

  /** Linears in bitsandbytes' four bits. */
  static byte[] fourBits(int linears) {
    byte[] state =
        "{\"shape\":[1,2],\"blocksize\":64,\"dtype\":\"float16\"}".getBytes(StandardCharsets.UTF_8);
    List<TensorEntry> entries = new ArrayList<>();
    for (int i = 0; i < linears; i++) {
      entries.add(new TensorEntry("l" + i, "U8", "[1]", new byte[1]));
      entries.add(new TensorEntry("l" + i + ".quant_map", "F32", "[16]", new byte[64]));
      entries.add(new TensorEntry("l" + i + ".absmax", "F32", "[1]", new byte[4]));
      entries.add(
          new TensorEntry(
              "l" + i + ".quant_state.bitsandbytes__nf4", "U8", "[" + state.length + "]", state));
    }
    return safetensors(entries, "");
  }

  /** Linears in bitsandbytes' int8. */
  static byte[] eightBits(int linears) {
    List<TensorEntry> entries = new ArrayList<>();
    for (int i = 0; i < linears; i++) {
      entries.add(new TensorEntry("l" + i + ".weight", "I8", "[1,1]", new byte[1]));
      entries.add(new TensorEntry("l" + i + ".SCB", "F32", "[1]", new byte[4]));
    }
    return safetensors(entries, "");
  }

  /** A GGUF file with so many keys of numbers, tensors of a value, and texts in an array. */
  static byte[] gguf(int keys, int tensors, int texts) {
    ByteBuffer file =
        ByteBuffer.allocate(1000 + 40 * keys + (100 + 32) * tensors + 20 * texts)
            .order(ByteOrder.LITTLE_ENDIAN);
    file.putInt(0x4655_4747).putInt(3).putLong(tensors).putLong(keys + 1L);
    for (int i = 0; i < keys; i++) {
      text(file, "key" + i).putInt(4).putInt(i);
    }
    text(file, "texts").putInt(9).putInt(8).putLong(texts);
    for (int i = 0; i < texts; i++) {
      text(file, "t");
    }
    for (int i = 0; i < tensors; i++) {
      text(file, "tensor" + i).putInt(1).putLong(1).putInt(0).putLong(32L * i);
    }
    int start = (file.position() + 31) / 32 * 32;
    byte[] bytes = new byte[start + 32 * tensors];
    System.arraycopy(file.array(), 0, bytes, 0, file.position());
    return bytes;
  }

  private static ByteBuffer text(ByteBuffer to, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return to.putLong(bytes.length).put(bytes);
  }

  /** Bytes of Protocol Buffers. */
  static final class Message {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Message number(int field, long value) {
      return varint(field << 3).varint(value);
    }

    Message bytes(int field, byte[] value) {
      varint(field << 3 | 2).varint(value.length);
      bytes.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message fixed(int field, int value) {
      varint(field << 3 | 5);
      for (int i = 0; i < 4; i++) {
        bytes.write(value >>> 8 * i);
      }
      return this;
    }

    Message varint(long value) {
      long left = value;
      for (; left >>> 7 != 0; left >>>= 7) {
        bytes.write((int) left | 0x80);
      }
      bytes.write((int) left);
      return this;
    }

    Message raw(byte... value) {
      bytes.writeBytes(value);
      return this;
    }

    byte[] all() {
      return bytes.toByteArray();
    }
  }

  static byte[] onnx(Message graph) {
    return new Message().bytes(7, graph.all()).all();
  }

  /** An initialiser of one float. */
  static byte[] initialiser(String name) {
    return new Message().number(1, 1).number(2, 1).text(8, name).bytes(9, new byte[4]).all();
  }

  /** A node with an input and an output. */
  static byte[] node(String type, String from, String to) {
    return new Message().text(1, from).text(2, to).text(3, to).text(4, type).all();
  }

  /** Entries of a TensorFlow block, of which each shares all of the name before it. */
  static byte[] growingNames(int entries) {
    Message block = new Message();
    for (int i = 0; i < entries; i++) {
      block.varint(i).varint(1).varint(0).raw((byte) 'a');
    }
    return block.all();
  }

  /** Entries with names of a length, of no variables. */
  static byte[] names(int entries) {
    Message block = new Message();
    for (int i = 0; i < entries; i++) {
      byte[] name = "variable%06d".formatted(i).getBytes(StandardCharsets.UTF_8);
      block.varint(0).varint(name.length).varint(0).raw(name);
    }
    return block.all();
  }

  /** Variables that all have the same zeros. */
  static byte[] sameVariables(int entries, int bytes) {
    CRC32C crc = new CRC32C();
    crc.update(new byte[bytes]);
    byte[] value =
        new Message()
            .number(1, 1)
            .bytes(2, new Message().bytes(2, new Message().number(1, bytes / 4).all()).all())
            .number(5, bytes)
            .fixed(6, Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8)
            .all();
    Message block = new Message();
    for (int i = 0; i < entries; i++) {
      byte[] name = "variable%06d".formatted(i).getBytes(StandardCharsets.UTF_8);
      block.varint(0).varint(name.length).varint(value.length).raw(name).raw(value);
    }
    return block.all();
  }

  static byte[] gzip(byte[] content) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
      gzip.write(content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  /**
   * A Parquet file with text and label.
   *
   * @param rows so many
   * @param more columns of texts
   * @param group bytes of a row group, about
   */
  static byte[] parquet(int rows, int more, long group) {
    return parquet(rows, more, group, i -> "text " + i, i -> "label " + i % 2);
  }

  /** A Parquet file whose rows are all the same, as large with few as with many. */
  static byte[] equalRows(int rows) {
    return parquet(rows, 0, 1 << 27, i -> "text", i -> "label");
  }

  private static byte[] parquet(
      int rows, int more, long group, IntFunction<String> text, IntFunction<String> label) {
    MessageType schema =
        MessageTypeParser.parseMessageType(
            new String(
                Growth.text(
                    "message schema { required binary text (STRING); required binary label (STRING); ",
                    more,
                    i -> "optional binary column%d (STRING); ".formatted(i),
                    "}"),
                StandardCharsets.UTF_8));
    return parquet(
        schema,
        rows,
        group,
        (row, i) -> {
          row.add("text", text.apply(i));
          row.add("label", label.apply(i));
        });
  }

  /** A Parquet file of conversations with two turns each, of so many characters. */
  static byte[] conversations(int rows, int length) {
    MessageType schema =
        MessageTypeParser.parseMessageType(
            """
            message schema { required group messages (LIST) { repeated group list { required group element {
              required binary role (STRING); required binary content (STRING); } } } }
            """);
    return parquet(
        schema,
        rows,
        1 << 20,
        (row, i) -> {
          Group messages = row.addGroup("messages");
          for (String role : List.of("user", "assistant")) {
            Group message = messages.addGroup("list").addGroup("element");
            message.add("role", role);
            message.add("content", "%s %d ".formatted(role, i) + "x".repeat(length));
          }
        });
  }

  private static byte[] parquet(
      MessageType schema, int rows, long group, ObjIntConsumer<Group> fill) {
    Path file = ReaderFiles.DIRECTORY.resolve("written.parquet");
    try {
      Files.createDirectories(file.getParent());
      Files.deleteIfExists(file);
      try (ParquetWriter<Group> writer =
          ExampleParquetWriter.builder(new LocalOutputFile(file))
              .withType(schema)
              .withRowGroupSize(group)
              .withMinRowCountForPageSizeCheck(1)
              .withMaxRowCountForPageSizeCheck(1)
              .build()) {
        for (int i = 0; i < rows; i++) {
          Group row = new SimpleGroupFactory(schema).newGroup();
          fill.accept(row, i);
          writer.write(row);
        }
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A Parquet file whose one row group its footer has so often. */
  static byte[] sameGroups(byte[] parquet, int times) {
    int length = ByteBuffer.wrap(parquet).order(ByteOrder.LITTLE_ENDIAN).getInt(parquet.length - 8);
    int from = parquet.length - 8 - length;
    try {
      FileMetaData footer = Util.readFileMetaData(new ByteArrayInputStream(parquet, from, length));
      RowGroup group = footer.getRow_groups().get(0);
      for (int i = 1; i < times; i++) {
        footer.addToRow_groups(group);
      }
      footer.setNum_rows(times * group.getNum_rows());
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      bytes.write(parquet, 0, from);
      Util.writeFileMetaData(footer, bytes);
      int written = bytes.size() - from;
      bytes.writeBytes(
          ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(written).array());
      bytes.writeBytes("PAR1".getBytes(StandardCharsets.US_ASCII));
      return bytes.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
