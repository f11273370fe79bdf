package org.prunepeft.examples;

import java.util.List;
import java.util.Locale;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;

/**
 * A LoRA linear on ND4J's arrays, without a copy, against ND4J in float64: y = x Wᵀ + s·x Aᵀ Bᵀ.
 * The profile nd4j compiles and tests it.
 */
public final class KernelsOnNd4j {
  private static final float SCALE = 0.5f;

  public static void main(String[] arguments) {
    INDArray w = Nd4j.randn(DataType.FLOAT, 48, 384);
    INDArray a = Nd4j.randn(DataType.FLOAT, 8, 384);
    INDArray b = Nd4j.randn(DataType.FLOAT, 48, 8);
    INDArray wide = Nd4j.randn(DataType.FLOAT, 40, 400);
    INDArray x = wide.get(NDArrayIndex.interval(3, 40), NDArrayIndex.interval(16, 400));
    INDArray s = Nd4j.create(DataType.FLOAT, 37, 8);
    INDArray y = Nd4j.create(DataType.FLOAT, 37, 48);
    try (Context context = new Context(Device.cpu());
        Linear linear = new Linear(context, matrix(w), null)) {
      LoraModule<Matrix> module = new LoraModule<>(matrix(a), matrix(b), SCALE);
      linear.forward(context, matrix(x), List.of(new LoraPass(module, matrix(s))), matrix(y));
    }
    INDArray expected = product(x, w).add(product(product(x, a), b).mul(SCALE));
    System.out.printf(
        Locale.ROOT,
        "largest difference %.6f%n",
        expected.sub(y.castTo(DataType.DOUBLE)).amaxNumber().doubleValue());
  }

  /** Of a part of another array, rows lie apart as far as that one's. */
  private static Matrix matrix(INDArray array) {
    if (array.dataType() != DataType.FLOAT || array.rank() != 2 || array.stride(1) != 1) {
      throw new IllegalArgumentException(
          "the kernels take float32 arrays of rows (order 'c'), got " + array.shapeInfoToString());
    }
    return Matrix.of(array.data().addressPointer(), array.rows(), array.columns(), array.stride(0));
  }

  private static INDArray product(INDArray left, INDArray right) {
    return left.castTo(DataType.DOUBLE).mmul(right.castTo(DataType.DOUBLE).transpose());
  }
}
