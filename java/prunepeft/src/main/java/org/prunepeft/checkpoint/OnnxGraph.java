package org.prunepeft.checkpoint;

import static org.prunepeft.protobuf.MessageFields.message;

import com.google.protobuf.CodedOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.prunepeft.io.AtomicFile;

/**
 * An ONNX model that is put together node by node, and written. Values of initialisers are asked
 * for when they are written, one tensor after the other.
 *
 * <p>These fields of the file, a {@code ModelProto}, are written:
 *
 * <table>
 *   <caption>Fields by number</caption>
 *   <tr><th>message</th><th>fields</th></tr>
 *   <tr><td>ModelProto</td><td>1 ir_version, 2 producer_name, 7 graph, 8 opset_import</td></tr>
 *   <tr><td>GraphProto</td><td>1 node, 2 name, 5 initializer, 11 input, 12 output</td></tr>
 *   <tr><td>NodeProto</td><td>1 input, 2 output, 3 name, 4 op_type, 5 attribute</td></tr>
 *   <tr><td>AttributeProto</td><td>1 name, 2 f, 3 i, 8 ints, 20 type (1, 2 and 7)</td></tr>
 *   <tr><td>TensorProto</td><td>1 dims, 2 data_type, 8 name, 9 raw_data (little-endian), 13
 *       external_data (location, offset, length), 14 data_location (1 is another file)</td></tr>
 *   <tr><td>ValueInfoProto</td><td>1 name, 2 type, whose tensor_type has 1 elem_type and 2 shape, of
 *       1 dim, with 1 dim_value or 2 dim_param</td></tr>
 * </table>
 */
public final class OnnxGraph {
  /** What comes behind the file's name where the values are in another file. */
  public static final String DATA_SUFFIX = "_data";

  private static final int OPSET = 17;

  /** The version of the file format that came with the operators. */
  private static final int IR_VERSION = 8;

  /** The most that a protobuf message may have. */
  private static final long LARGEST = Integer.MAX_VALUE;

  /** Values of fewer bytes stay in the model: readers need shapes and scalars to load it. */
  private static final long SMALL = 1024;

  private static final int LENGTH_DELIMITED = 2;
  private static final int RAW_DATA = 9;
  private static final int INITIALIZER = 5;

  /** Types of elements. */
  public enum ElementType {
    FLOAT(1, Float.BYTES),
    UINT8(2, Byte.BYTES),
    INT8(3, Byte.BYTES),
    INT64(7, Long.BYTES);

    private final int number;
    private final int bytes;

    ElementType(int number, int bytes) {
      this.number = number;
      this.bytes = bytes;
    }
  }

  /** Values of an initialiser. */
  @FunctionalInterface
  public interface Values {
    /** Writes all of them, little-endian and row-major. */
    void writeTo(FileChannel channel) throws IOException;
  }

  private record Initialiser(String name, ElementType type, long[] shape, Values values) {
    long bytes() {
      return LongStream.of(shape).reduce(type.bytes, Math::multiplyExact);
    }

    /**
     * Its message without values.
     *
     * @param data the file that has them; null: the model
     * @param offset where they begin in it
     */
    byte[] header(String data, long offset) {
      return message(
          out -> {
            for (long extent : shape) {
              out.writeInt64(1, extent);
            }
            out.writeInt32(2, type.number);
            out.writeString(8, name);
            if (data != null) {
              out.writeByteArray(13, entry("location", data));
              out.writeByteArray(13, entry("offset", Long.toString(offset)));
              out.writeByteArray(13, entry("length", Long.toString(bytes())));
              out.writeInt32(14, 1);
            }
          });
    }

    private static byte[] entry(String key, String value) {
      return message(
          out -> {
            out.writeString(1, key);
            out.writeString(2, value);
          });
    }

    void writeTo(FileChannel channel) throws IOException {
      long begin = channel.position();
      values.writeTo(channel);
      if (channel.position() - begin != bytes()) {
        throw new IllegalStateException(
            "%s must have %d bytes, got %d".formatted(name, bytes(), channel.position() - begin));
      }
    }
  }

  private final long largest;
  private final List<byte[]> nodes = new ArrayList<>();
  private final List<byte[]> inputs = new ArrayList<>();
  private final List<byte[]> outputs = new ArrayList<>();
  private final Map<String, Initialiser> initialisers = new LinkedHashMap<>();
  private final Set<String> names = new HashSet<>();

  public OnnxGraph() {
    this(LARGEST);
  }

  /**
   * @param largest size of a file in bytes, above which values go into another one
   */
  OnnxGraph(long largest) {
    this.largest = largest;
  }

  /**
   * Adds an input of the model.
   *
   * @param dimensions the names of extents that may vary
   * @return its name
   */
  public String input(String name, ElementType type, String... dimensions) {
    inputs.add(valueInfo(name, type, (Object[]) dimensions));
    return name;
  }

  /**
   * Makes a value an output of the model.
   *
   * @param name of the output
   * @param value what {@link #node} gave
   * @param dimensions extents, or their names where they may vary
   */
  public void output(String name, String value, Object... dimensions) {
    add("Identity", name, Map.of(), List.of(value), List.of(name));
    outputs.add(valueInfo(name, ElementType.FLOAT, dimensions));
  }

  /**
   * Adds an initialiser, unless there is one of that name.
   *
   * @param values are asked for whenever the model is written
   * @return its name
   */
  public String initialiser(String name, ElementType type, long[] shape, Values values) {
    initialisers.putIfAbsent(name, new Initialiser(name, type, shape.clone(), values));
    return name;
  }

  /** {@return a constant, [values.length]} */
  public String integers(long... values) {
    return integers("integers_" + joined(values), new long[] {values.length}, values);
  }

  /** {@return a constant without dimensions} */
  public String integer(long value) {
    return integers("integer_" + value, new long[0], value);
  }

  /**
   * {@return a constant with a name, [values.length]}
   *
   * @param name unlike other initialisers'
   */
  public String integers(String name, long[] values) {
    return integers(name, new long[] {values.length}, values);
  }

  private String integers(String name, long[] shape, long... values) {
    ByteBuffer bytes = buffer(values.length * Long.BYTES);
    LongStream.of(values).forEach(bytes::putLong);
    return constant(name, ElementType.INT64, shape, bytes);
  }

  /** {@return a constant without dimensions} */
  public String number(double value) {
    ByteBuffer bytes = buffer(Float.BYTES).putFloat((float) value);
    return constant("number_" + (float) value, ElementType.FLOAT, new long[0], bytes);
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private String constant(String name, ElementType type, long[] shape, ByteBuffer bytes) {
    return initialiser(
        name, type, shape, channel -> AtomicFile.writeFully(channel, bytes.duplicate().flip()));
  }

  private static String joined(long[] values) {
    return String.join("_", LongStream.of(values).mapToObj(Long::toString).toList());
  }

  /**
   * Adds a node.
   *
   * @param operator such as MatMul
   * @param inputs names of values
   * @return the name of its output
   */
  public String node(String operator, String... inputs) {
    return node(operator, Map.of(), inputs);
  }

  /**
   * Adds a node with attributes.
   *
   * @param attributes each an Integer, a Float or an int[]
   */
  public String node(String operator, Map<String, ?> attributes, String... inputs) {
    return node(unique(operator), operator, attributes, inputs);
  }

  /**
   * Adds a node with a name.
   *
   * @param name not looked at if there is a node of that name
   */
  public String named(String name, String operator, String... inputs) {
    return node(names.add(name) ? name : unique(operator), operator, Map.of(), inputs);
  }

  private String node(String name, String operator, Map<String, ?> attributes, String... inputs) {
    String output = name + "_output";
    add(operator, name, attributes, List.of(inputs), List.of(output));
    return output;
  }

  /** Adds a node of several outputs, and gives their names. */
  public List<String> node(int count, String operator, String... inputs) {
    String name = unique(operator);
    List<String> outputs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      outputs.add(name + "_output_" + i);
    }
    add(operator, name, Map.of(), List.of(inputs), outputs);
    return outputs;
  }

  private String unique(String operator) {
    String name = operator + "_" + nodes.size();
    names.add(name);
    return name;
  }

  private void add(
      String operator,
      String name,
      Map<String, ?> attributes,
      List<String> inputs,
      List<String> outputs) {
    nodes.add(
        message(
            out -> {
              for (String input : inputs) {
                out.writeString(1, input);
              }
              for (String output : outputs) {
                out.writeString(2, output);
              }
              out.writeString(3, name);
              out.writeString(4, operator);
              for (Map.Entry<String, ?> attribute : new TreeMap<>(attributes).entrySet()) {
                out.writeByteArray(5, attribute(attribute.getKey(), attribute.getValue()));
              }
            }));
  }

  private static byte[] attribute(String name, Object value) {
    return message(
        out -> {
          out.writeString(1, name);
          if (value instanceof Float number) {
            out.writeFloat(2, number);
            out.writeInt32(20, 1);
          } else if (value instanceof Integer number) {
            out.writeInt64(3, number);
            out.writeInt32(20, 2);
          } else {
            for (int number : (int[]) value) {
              out.writeInt64(8, number);
            }
            out.writeInt32(20, 7);
          }
        });
  }

  private static byte[] valueInfo(String name, ElementType type, Object... dimensions) {
    byte[] shape =
        message(
            out -> {
              for (Object dimension : dimensions) {
                out.writeByteArray(
                    1,
                    message(
                        own -> {
                          if (dimension instanceof String parameter) {
                            own.writeString(2, parameter);
                          } else {
                            own.writeInt64(1, ((Number) dimension).longValue());
                          }
                        }));
              }
            });
    byte[] tensor =
        message(
            out -> {
              out.writeInt32(1, type.number);
              out.writeByteArray(2, shape);
            });
    return message(
        out -> {
          out.writeString(1, name);
          out.writeByteArray(2, message(own -> own.writeByteArray(1, tensor)));
        });
  }

  /**
   * Writes the model.
   *
   * @param file replaced as a whole if it is there
   * @param external whether values go into a file beside it, of its name and {@value #DATA_SUFFIX};
   *     they do so anyway where one file would have more than 2 GiB
   * @throws IOException if reading values or writing fails
   */
  public void write(Path file, boolean external) throws IOException {
    FileLayout inside = new FileLayout(null);
    if (!external && inside.graphBytes <= largest) {
      write(file, inside);
      return;
    }
    Path data = file.resolveSibling(file.getFileName() + DATA_SUFFIX);
    FileLayout apart = new FileLayout(data.getFileName().toString());
    AtomicFile.write(
        data,
        channel -> {
          for (Initialiser initialiser : apart.outside) {
            initialiser.writeTo(channel);
          }
        });
    write(file, apart);
  }

  private static void write(Path file, FileLayout layout) throws IOException {
    AtomicFile.write(
        file,
        channel -> {
          CodedOutputStream out =
              CodedOutputStream.newInstance(Channels.newOutputStream(channel), 1 << 16);
          out.writeInt32(1, IR_VERSION);
          out.writeString(2, "prunepeft");
          out.writeByteArray(8, message(opset -> opset.writeInt64(2, OPSET)));
          out.writeTag(7, LENGTH_DELIMITED);
          out.writeUInt64NoTag(layout.graphBytes);
          out.write(layout.withoutTensors, 0, layout.withoutTensors.length);
          for (StoredTensor tensor : layout.tensors) {
            tensor.writeTo(out, channel);
          }
          out.flush();
        });
  }

  /** What a file holds, and how long it is. */
  private final class FileLayout {
    private final byte[] withoutTensors =
        message(
            out -> {
              writeAll(out, 1, nodes);
              out.writeString(2, "encoder");
              writeAll(out, 11, inputs);
              writeAll(out, 12, outputs);
            });
    private final List<StoredTensor> tensors = new ArrayList<>();
    private final List<Initialiser> outside = new ArrayList<>();
    private final long graphBytes;

    /**
     * @param data the name of the file for values; null: they are in the model
     */
    FileLayout(String data) {
      long bytes = withoutTensors.length;
      long offset = 0;
      for (Initialiser initialiser : initialisers.values()) {
        boolean apart = data != null && initialiser.bytes() >= SMALL;
        StoredTensor tensor =
            new StoredTensor(initialiser, initialiser.header(apart ? data : null, offset), apart);
        tensors.add(tensor);
        bytes += tensor.bytes();
        if (apart) {
          outside.add(initialiser);
          offset += initialiser.bytes();
        }
      }
      graphBytes = bytes;
    }

    private static void writeAll(CodedOutputStream out, int field, List<byte[]> messages)
        throws IOException {
      for (byte[] message : messages) {
        out.writeByteArray(field, message);
      }
    }
  }

  /**
   * A TensorProto.
   *
   * @param header all of its fields but raw_data
   * @param apart whether values are in another file
   */
  private record StoredTensor(Initialiser initialiser, byte[] header, boolean apart) {
    private long length() {
      long values = initialiser.bytes();
      return apart
          ? header.length
          : header.length
              + CodedOutputStream.computeTagSize(RAW_DATA)
              + CodedOutputStream.computeUInt64SizeNoTag(values)
              + values;
    }

    /** As a field of the graph. */
    long bytes() {
      return CodedOutputStream.computeTagSize(INITIALIZER)
          + CodedOutputStream.computeUInt64SizeNoTag(length())
          + length();
    }

    void writeTo(CodedOutputStream out, FileChannel channel) throws IOException {
      out.writeTag(INITIALIZER, LENGTH_DELIMITED);
      out.writeUInt64NoTag(length());
      out.write(header, 0, header.length);
      if (!apart) {
        out.writeTag(RAW_DATA, LENGTH_DELIMITED);
        out.writeUInt64NoTag(initialiser.bytes());
        out.flush();
        initialiser.writeTo(channel);
      }
    }
  }
}
