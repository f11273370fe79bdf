package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.Rounding;

class QuantizedMatrixTest extends CpuTest {
  private static float[] packed(double[][] values) {
    float[] all = new float[values.length * values[0].length];
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) values[i / values[0].length][i % values[0].length];
    }
    return all;
  }

  private static QuantizedMatrix empty(CodeType type, int rows, int cols, int block) {
    return new QuantizedMatrix(
        rows,
        cols,
        new BytePointer(QuantizedMatrix.codeBytes(type, rows, cols)),
        new FloatPointer(QuantizedMatrix.scaleCount(type, rows, cols, block)),
        block,
        null);
  }

  @ParameterizedTest
  @CsvSource({"INT8, 1, 1, 0", "INT8, 19, 23, 0", "NF4, 1, 1, 64", "NF4, 19, 23, 32"})
  void quantisingIsOffByHalfAStepAtMost(CodeType type, int rows, int cols, int block) {
    Buffer w = Buffer.random(random, rows, cols, cols + 2);
    Buffer decoded = Buffer.poisoned(rows, cols, cols + 3);
    QuantizedMatrix quantized = empty(type, rows, cols, block);
    quantized.quantize(context, w.matrix());
    quantized.dequantize(context, decoded.matrix());
    // The widest gap of NF4's values is from -1 to -0.696.
    double step = type == CodeType.INT8 ? 1 / 127.0 : 0.304;
    // A scale, what it divides and what it multiplies are rounded.
    double share = step / 2 + Rounding.gamma(3, Rounding.FLOAT32);
    decoded.assertNear(w.values(), share * Rounding.largest(packed(w.values())), "w");
  }

  @ParameterizedTest
  @CsvSource({"INT8, 0", "NF4, 64"})
  void aLinearOfCodesHasTheBitsOfOneOfTheirValues(CodeType type, int block) {
    int m = 13;
    int n = 70;
    int k = 96;
    Buffer w = Buffer.random(random, n, k);
    Buffer bias = Buffer.random(random, 1, n);
    Buffer x = Buffer.random(random, m, k);
    Buffer dy = Buffer.random(random, m, n);
    QuantizedMatrix quantized = empty(type, n, k, block);
    quantized.quantize(context, w.matrix());
    quantized.dequantize(context, w.matrix());
    Buffer[] y = {Buffer.poisoned(m, n), Buffer.poisoned(m, n)};
    Buffer[] dx = {Buffer.poisoned(m, k), Buffer.poisoned(m, k)};
    try (Linear ofCodes = new Linear(context, quantized, bias.matrix(), DType.FLOAT32);
        Linear ofValues = new Linear(context, w.matrix(), bias.matrix())) {
      Linear[] linears = {ofCodes, ofValues};
      for (int i = 0; i < linears.length; i++) {
        linears[i].forward(context, x.matrix(), List.of(), y[i].matrix());
        linears[i].gradInput(context, dy.matrix(), List.of(), dx[i].matrix());
      }
    }
    assertArrayEquals(y[1].floats(), y[0].floats());
    assertArrayEquals(dx[1].floats(), dx[0].floats());
  }

  @ParameterizedTest
  @CsvSource({"INT8, 70, 23, 0", "NF4, 70, 96, 64", "NF4, 9, 23, 32"})
  void aLinearGivesRowsOfIt(CodeType type, int rows, int cols, int block) {
    QuantizedMatrix quantized = empty(type, rows, cols, block);
    quantized.quantize(context, Buffer.random(random, rows, cols).matrix());
    Buffer whole = Buffer.poisoned(rows, cols);
    quantized.dequantize(context, whole.matrix());
    try (Linear ofCodes = new Linear(context, quantized, null, DType.FLOAT32);
        Linear ofValues = new Linear(context, whole.matrix(), null);
        Linear borrowing = Linear.borrowing(context, whole.matrix(), null)) {
      for (Linear linear : new Linear[] {ofCodes, ofValues, borrowing}) {
        int first = random.nextInt(rows);
        int count = 1 + random.nextInt(rows - first);
        Buffer part = Buffer.poisoned(count, cols);
        linear.rows(context, first, part.matrix());
        assertArrayEquals(
            Arrays.copyOfRange(whole.floats(), first * cols, (first + count) * cols),
            part.floats());
        assertThrows(
            KernelException.class,
            () -> linear.rows(context, rows, Buffer.poisoned(1, cols).matrix()));
        assertThrows(
            IllegalArgumentException.class,
            () -> linear.rows(context, 0, Buffer.poisoned(1, cols + 1).matrix()));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"INT8, 9, 23, 0, 1", "NF4, 9, 64, 64, 1", "NF4, 8, 24, 32, 4", "NF4, 9, 96, 32, 1"})
  void rowsOfItAreDecodedAsInTheWhole(CodeType type, int rows, int cols, int block, int each) {
    QuantizedMatrix quantized = empty(type, rows, cols, block);
    quantized.quantize(context, Buffer.random(random, rows, cols).matrix());
    Buffer whole = Buffer.poisoned(rows, cols);
    quantized.dequantize(context, whole.matrix());
    for (int first = 0; first < rows; first++) {
      for (int count = 1; count <= rows - first; count++) {
        Optional<QuantizedMatrix> part = quantized.part(first, count);
        assertEquals(first % each == 0, part.isPresent());
        if (part.isPresent()) {
          Buffer decoded = Buffer.poisoned(count, cols);
          part.get().dequantize(context, decoded.matrix());
          float[] expected =
              Arrays.copyOfRange(whole.floats(), first * cols, (first + count) * cols);
          assertArrayEquals(expected, decoded.floats());
        }
      }
    }
    assertThrows(IllegalArgumentException.class, () -> quantized.part(1, rows));
    assertThrows(IllegalArgumentException.class, () -> quantized.part(-1, 1));
  }

  @Test
  void aTableOfItsOwnIsRead() {
    float[] table = new float[16];
    for (int code = 0; code < table.length; code++) {
      table[code] = code;
    }
    BytePointer codes = new BytePointer((byte) 0x1F, (byte) 0x80);
    QuantizedMatrix quantized = new QuantizedMatrix(1, 3, codes, new FloatPointer(2f), 32, table);
    Buffer decoded = Buffer.poisoned(1, 3);
    quantized.dequantize(context, decoded.matrix());
    assertArrayEquals(new float[] {2, 30, 16}, decoded.floats());
  }

  @Test
  void wrongSizesAreNamed() {
    BytePointer codes = new BytePointer(96);
    FloatPointer scales = new FloatPointer(2);
    assertEquals(
        "scales must have 12 bytes, got 8",
        assertThrows(
                IllegalArgumentException.class, () -> QuantizedMatrix.int8(3, 32, codes, scales))
            .getMessage());
    assertEquals(
        "codes must have 97 bytes, got 96",
        assertThrows(
                IllegalArgumentException.class, () -> QuantizedMatrix.int8(1, 97, codes, scales))
            .getMessage());
    assertEquals(
        "block must be a power of two in [32, 4096], got 48",
        assertThrows(
                IllegalArgumentException.class,
                () -> new QuantizedMatrix(1, 96, codes, scales, 48, null))
            .getMessage());
    assertEquals(
        "table must have 16 values, got 4",
        assertThrows(
                IllegalArgumentException.class,
                () -> new QuantizedMatrix(1, 96, codes, scales, 64, new float[4]))
            .getMessage());
    QuantizedMatrix quantized = QuantizedMatrix.nf4(2, 48, codes, scales);
    Buffer wrong = Buffer.random(random, 2, 47);
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> quantized.quantize(context, wrong.matrix()))
            .getMessage();
    assertTrue(message.contains("w must be FLOAT32 [2, 48], got FLOAT32 [2, 47]"), message);
  }
}
