package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Random;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.kernels.CublasProduct.MatrixLayout;
import org.prunepeft.kernels.CublasProduct.Product;
import org.prunepeft.testing.TestSeed;

/** How operands are described to cuBLASLt, without it. */
class ProductLayoutTest {
  private final Random random = TestSeed.random();

  /** Element (i, j) as BLAS defines it: its columns lie ld elements apart. */
  private static long place(MatrixLayout layout, long i, long j) {
    if (i >= layout.rows() || j >= layout.cols()) {
      throw new IndexOutOfBoundsException("(" + i + ", " + j + ") of " + layout);
    }
    return i + j * layout.ld();
  }

  /** C = op(A) B by a library's own definition, from the description alone. */
  private static void columnMajor(Product product, FloatPointer a, FloatPointer b, FloatPointer c) {
    long inner = product.transposeA() ? product.a().rows() : product.a().cols();
    assertEquals(inner, product.b().rows());
    for (long i = 0; i < product.c().rows(); i++) {
      for (long j = 0; j < product.c().cols(); j++) {
        double sum = 0;
        for (long l = 0; l < inner; l++) {
          long of = product.transposeA() ? place(product.a(), l, i) : place(product.a(), i, l);
          sum += (double) a.get(of) * b.get(place(product.b(), l, j));
        }
        c.put(place(product.c(), i, j), (float) sum);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 0", "7, 5, 3, 0", "7, 5, 3, 2", "4, 9, 6, 5"})
  void describesTheRowMajorProductToALibraryThatCountsColumnsFirst(int m, int k, int n, int gap) {
    for (boolean transposed : new boolean[] {true, false}) {
      Buffer left = Buffer.random(random, m, k, k + gap);
      Buffer right =
          transposed ? Buffer.random(random, n, k, k + gap) : Buffer.random(random, k, n, n + gap);
      Buffer out = Buffer.poisoned(m, n, n + gap);
      Product described = Product.of(left.matrix(), right.matrix(), transposed, null, out.matrix());
      columnMajor(
          described,
          new FloatPointer(right.matrix().data()),
          new FloatPointer(left.matrix().data()),
          new FloatPointer(out.matrix().data()));
      Estimate factor = transposed ? right.estimate().transposed() : right.estimate();
      out.assertHolds(left.estimate().times(factor, Estimate.gamma(k)), "out");
    }
  }

  @Test
  void alignmentIsTheLargestPowerOfTwoUpTo256() {
    assertEquals(256, MatrixLayout.alignment(1 << 12));
    assertEquals(256, MatrixLayout.alignment(3 * 256));
    assertEquals(128, MatrixLayout.alignment(256 + 128));
    assertEquals(2, MatrixLayout.alignment(4096 + 6));
    assertEquals(1, MatrixLayout.alignment(4097));
  }

  /** Room for 4,032 numbers, from a multiple of 256 bytes on. */
  private static FloatPointer aligned() {
    FloatPointer memory = new FloatPointer(4096);
    return at(memory, 64 - memory.address() % 256 / 4);
  }

  private static FloatPointer at(FloatPointer base, long numbers) {
    return new FloatPointer(base).position(base.position() + numbers);
  }

  @Test
  void anotherPlaceOfTheSameAlignmentIsTheSameProduct() {
    FloatPointer base = aligned();
    Matrix x = Matrix.of(base, 4, 8);
    Matrix later = Matrix.of(at(base, 128), 4, 8);
    Matrix odd = Matrix.of(at(base, 129), 4, 8);
    Matrix w = Matrix.of(at(base, 256), 6, 8);
    Matrix y = Matrix.of(at(base, 512), 4, 6);
    Product product = Product.of(x, w, true, null, y);
    assertEquals(product, Product.of(later, w, true, null, y));
    assertNotEquals(product, Product.of(odd, w, true, null, y));
  }

  @Test
  void whetherThereIsABiasAndItsAlignmentAreOfTheProduct() {
    FloatPointer base = aligned();
    Matrix x = Matrix.of(base, 4, 8);
    Matrix w = Matrix.of(base, 6, 8);
    Matrix y = Matrix.of(base, 4, 6);
    Matrix bias = Matrix.vector(base, 6);
    Matrix later = Matrix.vector(at(base, 64), 6);
    Matrix odd = Matrix.vector(at(base, 65), 6);
    Product product = Product.of(x, w, true, bias, y);
    assertEquals(256, product.biasAlignment());
    assertEquals(product, Product.of(x, w, true, later, y));
    assertEquals(4, Product.of(x, w, true, odd, y).biasAlignment());
    assertEquals(0, Product.of(x, w, true, null, y).biasAlignment());
  }

  @Test
  void shapesThatDisagreeAreNamed() {
    Matrix x = Buffer.random(random, 4, 8).matrix();
    Matrix w = Buffer.random(random, 6, 7).matrix();
    Matrix y = Buffer.poisoned(4, 6).matrix();
    IllegalArgumentException wrong =
        assertThrows(IllegalArgumentException.class, () -> Product.of(x, w, true, null, y));
    assertEquals("w must be FLOAT32 [6, 8], got FLOAT32 [6, 7]", wrong.getMessage());
    Matrix fits = Buffer.random(random, 6, 8).matrix();
    Matrix bias = Buffer.random(random, 1, 8).matrix();
    assertEquals(
        "bias must be FLOAT32 [1, 6], got FLOAT32 [1, 8]",
        assertThrows(IllegalArgumentException.class, () -> Product.of(x, fits, true, bias, y))
            .getMessage());
  }

  @Test
  void matricesThatAreMissingAreNamed() {
    Matrix x = Buffer.random(random, 4, 8).matrix();
    Matrix w = Buffer.random(random, 6, 8).matrix();
    Matrix y = Buffer.poisoned(4, 6).matrix();
    assertMissing("x", () -> Product.of(null, w, true, null, y));
    assertMissing("w", () -> Product.of(x, null, true, null, y));
    assertMissing("y", () -> Product.of(x, w, true, null, null));
    assertMissing("dy", () -> Product.of(null, w, false, null, x));
    assertMissing("dx", () -> Product.of(y, w, false, null, null));
  }

  @Test
  void memoryThatWasFreedIsRefused() {
    Matrix x = Buffer.random(random, 4, 8).matrix();
    Matrix y = Buffer.poisoned(4, 6).matrix();
    DeviceBuffer freed = new DeviceBuffer(Device.cpu(), 6 * 8 * Float.BYTES);
    Matrix w = freed.matrix(6, 8);
    freed.close();
    assertThrows(IllegalStateException.class, () -> Product.of(x, w, true, null, y));
  }

  private static void assertMissing(String name, Executable call) {
    assertEquals(
        name + " must be given for this call, got null",
        assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
