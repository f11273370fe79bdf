package org.prunepeft.checkpoint;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.io.FormatException;

/**
 * The float32 weights of an ONNX model that was exported from PyTorch, under their Hugging Face
 * names and in PyTorch's layout.
 *
 * <p>An export keeps the names of embeddings, biases and LayerNorms. The matrices of linear layers
 * become anonymous ({@code onnx::MatMul_787}) and are stored [in,out]. The node that multiplies by
 * one still gives its place, {@code /encoder/layer.0/attention/self/query/MatMul}, so the matrix is
 * offered as {@code encoder.layer.0.attention.self.query.weight}, transposed back to [out,in].
 *
 * <p>Of the file, a {@code ModelProto}, these fields are read; all others are skipped:
 *
 * <table>
 *   <caption>Fields by number</caption>
 *   <tr><th>message</th><th>fields</th></tr>
 *   <tr><td>ModelProto</td><td>7 graph</td></tr>
 *   <tr><td>GraphProto</td><td>1 node, 5 initializer</td></tr>
 *   <tr><td>NodeProto</td><td>1 input, 2 output, 3 name, 4 op_type</td></tr>
 *   <tr><td>TensorProto</td><td>1 dims, 2 data_type (1 is float32), 4 float_data, 8 name, 9 raw_data
 *       (little-endian), 14 data_location (1 is another file)</td></tr>
 * </table>
 *
 * <p>Values stay in the bytes of the file until they are asked for, outside of Java's heap: what it
 * has grown to it keeps.
 */
public final class OnnxWeights extends StoredCheckpoint {
  private static final int VARINT = 0;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;

  private static final int MODEL_GRAPH = 7 << 3 | BYTES;
  private static final int GRAPH_NODE = 1 << 3 | BYTES;
  private static final int GRAPH_INITIALIZER = 5 << 3 | BYTES;
  private static final int NODE_INPUT = 1 << 3 | BYTES;
  private static final int NODE_OUTPUT = 2 << 3 | BYTES;
  private static final int NODE_NAME = 3 << 3 | BYTES;
  private static final int NODE_OP_TYPE = 4 << 3 | BYTES;
  private static final int TENSOR_DIM = 1 << 3 | VARINT;
  private static final int TENSOR_DIMS = 1 << 3 | BYTES;
  private static final int TENSOR_DATA_TYPE = 2 << 3 | VARINT;
  private static final int TENSOR_FLOAT = 4 << 3 | FIXED32;
  private static final int TENSOR_FLOATS = 4 << 3 | BYTES;
  private static final int TENSOR_NAME = 8 << 3 | BYTES;
  private static final int TENSOR_RAW = 9 << 3 | BYTES;
  private static final int TENSOR_LOCATION = 14 << 3 | VARINT;

  private static final int FLOAT32 = 1;
  private static final int EXTERNAL = 1;
  private static final List<String> DATA_TYPES =
      List.of(
          "undefined",
          "float32",
          "uint8",
          "int8",
          "uint16",
          "int16",
          "int32",
          "int64",
          "string",
          "bool",
          "float16",
          "float64",
          "uint32",
          "uint64",
          "complex64",
          "complex128",
          "bfloat16");

  private record GraphNode(List<String> inputs, List<String> outputs, String name, String opType) {}

  private final Map<String, String> otherTypes;

  private OnnxWeights(
      String origin,
      Map<String, StoredFloats> tensors,
      List<NativeBytes> memory,
      Map<String, String> otherTypes) {
    super(origin, tensors, memory);
    this.otherTypes = otherTypes;
  }

  /**
   * Reads a model to the end of the stream. Does not close the stream.
   *
   * @param in a ModelProto of at most 2 GiB
   * @param origin what messages call it
   * @return its float32 initialisers
   * @throws FormatException if it is no ONNX model, is cut off, keeps its weights in another file,
   *     or has an initialiser whose shape and values disagree
   * @throws IOException if reading fails
   */
  public static OnnxWeights read(InputStream in, String origin) throws IOException {
    try {
      return new GraphParser(in, origin).model();
    } catch (InvalidProtocolBufferException e) {
      throw new FormatException("not a whole ONNX model: " + e.getMessage(), e);
    }
  }

  @Override
  String absence(String name) {
    String expected = "expected a float32 tensor " + name + ": ";
    if (otherTypes.containsKey(name)) {
      return expected + "the model stores it as " + otherTypes.get(name);
    }
    long anonymous = names().stream().filter(key -> key.startsWith("onnx::")).count();
    return anonymous == 0
        ? expected + "the model has no tensor of that name among its " + names().size()
        : expected
            + "no node gives the place of %d anonymous matrices; export the model with node names such as %s"
                .formatted(anonymous, "/encoder/layer.0/attention/self/query/MatMul");
  }

  private static final class GraphParser {
    private final String origin;
    private final CodedInputStream input;
    private final List<GraphNode> nodes = new ArrayList<>();
    private final Map<String, StoredFloats> initialisers = new LinkedHashMap<>();
    private final List<NativeBytes> memory = new ArrayList<>();
    private final Map<String, String> otherTypes = new HashMap<>();

    GraphParser(InputStream in, String origin) {
      this.origin = origin;
      input = CodedInputStream.newInstance(in, 1 << 16);
      input.setSizeLimit(Integer.MAX_VALUE);
    }

    OnnxWeights model() throws IOException {
      try {
        return whole();
      } catch (IOException | RuntimeException | Error e) {
        memory.forEach(NativeBytes::close);
        throw e;
      }
    }

    private OnnxWeights whole() throws IOException {
      boolean graph = false;
      for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
        if (tag == MODEL_GRAPH) {
          graph = true;
          graph();
        } else {
          skip(tag);
        }
      }
      if (!graph) {
        throw new FormatException("not an ONNX model: it has no graph");
      }
      return new OnnxWeights(origin, named(), memory, otherTypes);
    }

    private void skip(int tag) throws IOException {
      if (!input.skipField(tag)) {
        throw new FormatException("not an ONNX model: a group ends that did not begin");
      }
    }

    private void graph() throws IOException {
      int outer = input.pushLimit(input.readRawVarint32());
      for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
        switch (tag) {
          case GRAPH_NODE -> nodes.add(node());
          case GRAPH_INITIALIZER -> initialiser();
          default -> skip(tag);
        }
      }
      pop(outer);
    }

    /** Ends a message. A stream that stops within one looks like its end, unless bytes are due. */
    private void pop(int outer) throws IOException {
      if (input.getBytesUntilLimit() != 0) {
        throw new FormatException("not a whole ONNX model: it ends within its graph");
      }
      input.popLimit(outer);
    }

    private GraphNode node() throws IOException {
      int outer = input.pushLimit(input.readRawVarint32());
      var inputs = new ArrayList<String>();
      var outputs = new ArrayList<String>();
      String name = "";
      String opType = "";
      for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
        switch (tag) {
          case NODE_INPUT -> inputs.add(input.readString());
          case NODE_OUTPUT -> outputs.add(input.readString());
          case NODE_NAME -> name = input.readString();
          case NODE_OP_TYPE -> opType = input.readString();
          default -> skip(tag);
        }
      }
      pop(outer);
      return new GraphNode(inputs, outputs, name, opType);
    }

    private void initialiser() throws IOException {
      int outer = input.pushLimit(input.readRawVarint32());
      var dims = new ArrayList<Long>();
      String name = "";
      int dataType = 0;
      boolean external = false;
      var data = new NativeBytes();
      memory.add(data);
      for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
        switch (tag) {
          case TENSOR_DIM -> dims.add(input.readInt64());
          case TENSOR_DIMS -> {
            int packed = input.pushLimit(input.readRawVarint32());
            while (input.getBytesUntilLimit() > 0) {
              dims.add(input.readInt64());
            }
            input.popLimit(packed);
          }
          case TENSOR_DATA_TYPE -> dataType = input.readInt32();
          case TENSOR_FLOAT -> data.read(input, Float.BYTES);
          // Packed floats are little-endian too.
          case TENSOR_FLOATS, TENSOR_RAW -> data.read(input, input.readRawVarint32());
          case TENSOR_NAME -> name = input.readString();
          case TENSOR_LOCATION -> external = input.readInt32() == EXTERNAL;
          default -> skip(tag);
        }
      }
      pop(outer);
      if (dataType != FLOAT32) {
        otherTypes.put(
            name,
            dataType >= 0 && dataType < DATA_TYPES.size()
                ? DATA_TYPES.get(dataType)
                : "data type " + dataType);
        return;
      }
      if (external) {
        throw new FormatException(
            "the ONNX model keeps %s in another file; save it with its weights inside (below 2 GiB)"
                .formatted(name));
      }
      long[] shape = dims.stream().mapToLong(Long::longValue).toArray();
      checkSize(name, shape, data.size());
      var values = data.buffer().order(ByteOrder.LITTLE_ENDIAN);
      if (initialisers.put(name, new StoredFloats(shape, values, 0, false)) != null) {
        throw new FormatException("the ONNX model has two tensors named " + name);
      }
    }

    private static void checkSize(String name, long[] shape, long bytes) throws FormatException {
      long expected = Float.BYTES;
      try {
        for (long size : shape) {
          if (size < 0) {
            throw new FormatException(
                "%s of the ONNX model has a negative size: %s"
                    .formatted(name, Arrays.toString(shape)));
          }
          expected = Math.multiplyExact(expected, size);
        }
      } catch (ArithmeticException e) {
        expected = Long.MAX_VALUE;
      }
      if (expected != bytes) {
        throw new FormatException(
            "%s of the ONNX model has %d bytes of values, but shape %s needs %s"
                .formatted(
                    name,
                    bytes,
                    Arrays.toString(shape),
                    expected == Long.MAX_VALUE ? "more than fit" : expected));
      }
    }

    /** Names what the nodes know the place of. */
    private Map<String, StoredFloats> named() throws FormatException {
      var named = new TreeMap<>(initialisers);
      // Tensors of equal content are exported once, and shared through Identity nodes.
      for (GraphNode node : nodes) {
        if (node.opType.equals("Identity")
            && node.inputs.size() == 1
            && node.outputs.size() == 1
            && named.containsKey(node.inputs.get(0))) {
          named.putIfAbsent(node.outputs.get(0), named.get(node.inputs.get(0)));
        }
      }
      var matrices = new HashMap<String, StoredFloats>();
      var placed = new HashSet<String>();
      for (GraphNode node : nodes) {
        if (!node.opType.equals("MatMul") || node.inputs.size() != 2) {
          continue;
        }
        String anonymous = node.inputs.get(1);
        var matrix = named.get(anonymous);
        int end = node.name.lastIndexOf("/MatMul");
        if (matrix == null || matrix.shape().length != 2 || !node.name.startsWith("/") || end < 1) {
          continue;
        }
        String name = node.name.substring(1, end).replace('/', '.') + ".weight";
        if (matrices.put(name, matrix.exchanged()) != null) {
          throw new FormatException("two matrices of the ONNX model would be named " + name);
        }
        placed.add(anonymous);
      }
      named.keySet().removeAll(placed);
      for (var matrix : matrices.entrySet()) {
        if (named.put(matrix.getKey(), matrix.getValue()) != null) {
          throw new FormatException("two tensors of the ONNX model are named " + matrix.getKey());
        }
      }
      return named;
    }
  }
}
