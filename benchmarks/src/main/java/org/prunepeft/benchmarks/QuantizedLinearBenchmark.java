package org.prunepeft.benchmarks;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.kernels.CodeType;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.DType;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.QuantizedMatrix;
import org.prunepeft.torch.Torch;

/**
 * What does it cost to multiply by a frozen weight in 4 or 8 bits? The baseline is the same linear
 * in bfloat16; x and y are bfloat16 in each. The kernels alone, without modules.
 */
@State(Scope.Benchmark)
public class QuantizedLinearBenchmark extends TorchBenchmark {
  /** What W is kept as. */
  public enum Weights {
    BF16,
    INT8,
    NF4
  }

  /** Tokens x inputs x outputs: of models of 135 million, 1 and 7 billion parameters, and few. */
  @Param({
    "2048x576x576",
    "2048x576x1536",
    "2048x2048x2048",
    "2048x4096x4096",
    "1x576x1536",
    "1x4096x4096",
    "4x4096x4096"
  })
  public String extents;

  @Param public Weights weights;

  private Context context;
  private Linear linear;
  private Matrix x;
  private Matrix y;
  private Matrix dx;

  @Setup
  public void setUp() {
    begin();
    String[] parts = extents.split("x");
    long m = Long.parseLong(parts[0]);
    long k = Long.parseLong(parts[1]);
    long n = Long.parseLong(parts[2]);
    context = new Context(Device.cpu());
    x = matrix(m, k);
    y = matrix(m, n);
    dx = matrix(m, k);
    Matrix w = matrix(n, k);
    if (weights == Weights.BF16) {
      linear = new Linear(context, w, null);
      return;
    }
    QuantizedMatrix quantized = empty(CodeType.valueOf(weights.name()), n, k);
    quantized.quantize(context, w);
    linear = new Linear(context, quantized, null, DType.BFLOAT16);
    quantized.dequantize(context, w);
    check(m, w);
  }

  private Matrix matrix(long rows, long cols) {
    Tensor values = random(1, rows, cols).to(torch.ScalarType.BFloat16);
    return Torch.matrix(values);
  }

  private static QuantizedMatrix empty(CodeType type, long rows, long cols) {
    int block = type == CodeType.INT8 ? 0 : QuantizedMatrix.BLOCK;
    return new QuantizedMatrix(
        rows,
        cols,
        new BytePointer(QuantizedMatrix.codeBytes(type, rows, cols)),
        new FloatPointer(QuantizedMatrix.scaleCount(type, rows, cols, block)),
        block,
        null);
  }

  /** The bits of y of the decoded W. */
  private void check(long m, Matrix w) {
    Matrix expected = matrix(m, w.rows());
    try (Linear decoded = new Linear(context, w, null)) {
      decoded.forward(context, x, List.of(), expected);
    }
    forward();
    BytePointer first = new BytePointer(expected.data());
    BytePointer second = new BytePointer(y.data());
    for (long i = 0; i < m * w.rows() * DType.BFLOAT16.bytes(); i++) {
      if (first.get(i) != second.get(i)) {
        throw new IllegalStateException("y of codes differs from that of their values");
      }
    }
  }

  @TearDown
  public void tearDown() {
    linear.close();
    context.close();
    end();
  }

  @Benchmark
  public Matrix forward() {
    linear.forward(context, x, List.of(), y);
    return y;
  }

  @Benchmark
  public Matrix gradInput() {
    linear.gradInput(context, y, List.of(), dx);
    return dx;
  }
}
