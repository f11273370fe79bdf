package org.prunepeft.formats;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.checkpoint.OnnxGraph;
import org.prunepeft.checkpoint.OnnxGraph.ElementType;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.HiddenActivation;

/**
 * What encoders and heads are made of, in ONNX's operators: each method adds nodes to a graph and
 * gives the name of their result. Weights have the names that they have in their checkpoint.
 */
final class OnnxOperations {
  private static final int FLOAT = 1;
  private static final int INT64 = 7;

  /** As many columns two tiles of AMX have. */
  private static final int AMX_COLUMNS = 32;

  private final OnnxGraph graph;

  /** Of each value that is multiplied in 8 bits: itself quantised, its scale and its zero point. */
  private final Map<String, List<String>> quantised = new HashMap<>();

  OnnxOperations(OnnxGraph graph) {
    this.graph = graph;
  }

  /** A weight as it is. */
  String weight(Checkpoint weights, String name) {
    return graph.initialiser(
        name, ElementType.FLOAT, weights.shape(name), OnnxTensors.plain(weights, name));
  }

  /** x Wᵀ + b, or x Wᵀ where there is no b, over the last dimension. */
  String linear(Checkpoint weights, String path, String x) {
    String name = path + ".weight";
    String matrix =
        graph.initialiser(
            name + ".transposed",
            ElementType.FLOAT,
            transposed(weights, name),
            OnnxTensors.transposed(weights, name));
    return biased(weights, path, graph.named(matMul(path), "MatMul", x, matrix));
  }

  /**
   * The same with W in 8 bits and x quantised as it comes, by one scale for all of it.
   *
   * <p>ONNX Runtime before 1.26 computes wrong columns on processors with AMX where their number
   * leaves 17 to 31 over a multiple of 32, for 32 rows and more: W then has columns of zeros up to
   * the next multiple, which are cut off the product.
   */
  String int8Linear(Checkpoint weights, String path, String x) {
    String name = path + ".weight";
    long[] shape = transposed(weights, name);
    long outputs = shape[1];
    boolean wider = outputs % AMX_COLUMNS > AMX_COLUMNS / 2;
    long columns = wider ? (outputs / AMX_COLUMNS + 1) * AMX_COLUMNS : outputs;
    String matrix =
        graph.initialiser(
            name + ".quantized",
            ElementType.UINT8,
            new long[] {shape[0], columns},
            OnnxTensors.transposedInt8(weights, name, (int) columns));
    byte[] zeros = new byte[(int) columns];
    Arrays.fill(zeros, (byte) OnnxTensors.ZERO_POINT);
    String zeroPoints =
        graph.initialiser(
            "zero_points_" + columns,
            ElementType.UINT8,
            new long[] {columns},
            channel -> AtomicFile.writeFully(channel, ByteBuffer.wrap(zeros)));
    List<String> own =
        quantised.computeIfAbsent(x, value -> graph.node(3, "DynamicQuantizeLinear", value));
    String sums =
        toFloat(
            graph.named(matMul(path), "MatMulInteger", own.get(0), matrix, own.get(2), zeroPoints));
    if (wider) {
      sums =
          graph.node("Slice", sums, graph.integers(0), graph.integers(outputs), graph.integers(-1));
    }
    String scales = scales(weights, name, outputs);
    return biased(weights, path, graph.node("Mul", sums, graph.node("Mul", own.get(1), scales)));
  }

  private static long[] transposed(Checkpoint weights, String name) {
    long[] shape = weights.shape(name);
    return new long[] {shape[1], shape[0]};
  }

  private String scales(Checkpoint weights, String name, long... shape) {
    return graph.initialiser(
        name + ".scale", ElementType.FLOAT, shape, OnnxTensors.scales(weights, name));
  }

  /** As exporters of PyTorch name it: readers take the projection's name from there. */
  private static String matMul(String path) {
    return "/" + path.replace('.', '/') + "/MatMul";
  }

  private String biased(Checkpoint weights, String path, String product) {
    String bias = path + ".bias";
    return weights.names().contains(bias)
        ? graph.node("Add", product, weight(weights, bias))
        : product;
  }

  /** Rows of a table by their numbers. */
  String embedding(Checkpoint weights, String name, String numbers) {
    return graph.node("Gather", weight(weights, name), numbers);
  }

  /** The same with a table in 8 bits. */
  String int8Embedding(Checkpoint weights, String name, String numbers) {
    long[] shape = weights.shape(name);
    String table =
        graph.initialiser(
            name + ".quantized", ElementType.INT8, shape, OnnxTensors.int8(weights, name));
    return graph.node(
        "Mul",
        toFloat(graph.node("Gather", table, numbers)),
        graph.node("Gather", scales(weights, name, shape[0], 1), numbers));
  }

  /** Normalised over the last dimension. */
  String norm(Checkpoint weights, String path, double epsilon, String x) {
    return graph.node(
        "LayerNormalization",
        Map.of("axis", -1, "epsilon", (float) epsilon),
        x,
        weight(weights, path + ".weight"),
        weight(weights, path + ".bias"));
  }

  String activation(HiddenActivation activation, String x) {
    return switch (activation) {
      case GELU ->
          times(
              0.5,
              graph.node(
                  "Mul",
                  x,
                  plus(1, graph.node("Erf", graph.node("Div", x, graph.number(Math.sqrt(2)))))));
      case GELU_TANH -> {
        // x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
        String cubic = graph.node("Mul", x, plus(1, times(0.044715, graph.node("Mul", x, x))));
        yield times(
            0.5,
            graph.node(
                "Mul", x, plus(1, graph.node("Tanh", times(Math.sqrt(2 / Math.PI), cubic)))));
      }
      case RELU -> graph.node("Relu", x);
      case SILU -> graph.node("Mul", x, graph.node("Sigmoid", x));
      case TANH -> graph.node("Tanh", x);
    };
  }

  String activation(Activation activation, String x) {
    return switch (activation) {
      case IDENTITY -> x;
      case RELU -> activation(HiddenActivation.RELU, x);
      case GELU -> activation(HiddenActivation.GELU, x);
      case SILU -> activation(HiddenActivation.SILU, x);
    };
  }

  String times(double factor, String x) {
    return graph.node("Mul", x, graph.number(factor));
  }

  String plus(double summand, String x) {
    return graph.node("Add", x, graph.number(summand));
  }

  String add(String a, String b) {
    return graph.node("Add", a, b);
  }

  String toFloat(String x) {
    return graph.node("Cast", Map.of("to", FLOAT), x);
  }

  String toInteger(String x) {
    return graph.node("Cast", Map.of("to", INT64), x);
  }

  String transpose(String x, int... order) {
    return graph.node("Transpose", Map.of("perm", order), x);
  }

  /**
   * @param shape 0: as it was
   */
  String reshape(String x, long... shape) {
    return graph.node("Reshape", x, graph.integers(shape));
  }

  String unsqueeze(String x, long... axes) {
    return graph.node("Unsqueeze", x, graph.integers(axes));
  }

  /** The size of a dimension, [1]. */
  String size(String x, int dimension) {
    return graph.node("Gather", graph.node("Shape", x), graph.integers(dimension));
  }

  String softmax(String x) {
    return graph.node("Softmax", Map.of("axis", -1), x);
  }
}
