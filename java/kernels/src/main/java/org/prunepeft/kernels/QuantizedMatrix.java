package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.lang.ref.Reference;
import java.util.Optional;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.LibPrunePeft;
import org.prunepeft.kernels.binding.QuantizedStruct;

/**
 * A matrix W [rows, cols] in codes of 8 or 4 bits, in memory that somebody else owns, row by row
 * without padding. It is what bitsandbytes stores: of int8 its SCB is 127 times our scale; of NF4
 * scales that are quantised once more are to be decoded before. Errors as in {@link Linear}.
 *
 * @param rows 1 or more
 * @param cols 1 or more
 * @param codes {@link #codeBytes} bytes: of INT8 a signed one for each element; of NF4 two elements
 *     in a byte, the first in the high half
 * @param scales {@link #scaleCount} float32, of each row (INT8), or of each {@code block} elements,
 *     which run on over row ends (NF4)
 * @param block elements that share a scale in NF4, a power of two in [32, 4096]; 0: the codes are
 *     INT8
 * @param table the 16 values of NF4's codes; null: those of QLoRA
 */
public record QuantizedMatrix(
    long rows, long cols, Pointer codes, Pointer scales, int block, float[] table) {
  /** How many elements of NF4 share a scale in what bitsandbytes writes. */
  public static final int BLOCK = 64;

  private static final int TABLE = 16;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a size is out of range, or if a pointer knows its length
   *     and is too short
   */
  public QuantizedMatrix {
    if (rows < 1 || cols < 1) {
      throw new IllegalArgumentException(
          "quantised matrix extents must be 1 or more, got " + rows + " x " + cols);
    }
    CodeType type = type(block);
    requireBlock(type, block);
    if (table != null && table.length != TABLE) {
      throw new IllegalArgumentException("table must have 16 values, got " + table.length);
    }
    requireBytes("codes", codes, codeBytes(type, rows, cols));
    requireBytes("scales", scales, Float.BYTES * scaleCount(type, rows, cols, block));
  }

  /** {@return INT8: a byte for each code} */
  public static QuantizedMatrix int8(long rows, long cols, Pointer codes, Pointer scales) {
    return new QuantizedMatrix(rows, cols, codes, scales, 0, null);
  }

  /** {@return NF4 in blocks of 64, with the values of QLoRA} */
  public static QuantizedMatrix nf4(long rows, long cols, Pointer codes, Pointer scales) {
    return new QuantizedMatrix(rows, cols, codes, scales, BLOCK, null);
  }

  /** {@return the 16 values of NF4's codes, as QLoRA has them} */
  public static float[] normalFloat() {
    byte[] pairs = new byte[8];
    for (int i = 0; i < pairs.length; i++) {
      pairs[i] = (byte) (2 * i << 4 | 2 * i + 1);
    }
    float[] values = new float[2 * pairs.length];
    try (Context context = new Context(Device.cpu());
        BytePointer codes = new BytePointer(pairs);
        FloatPointer scale = new FloatPointer(1f);
        FloatPointer decoded = new FloatPointer((long) values.length)) {
      nf4(1, values.length, codes, scale)
          .dequantize(context, Matrix.vector(decoded, values.length));
      decoded.get(values);
    }
    return values;
  }

  /** {@return what the codes are} */
  public CodeType type() {
    return type(block);
  }

  private static CodeType type(int block) {
    return block == 0 ? CodeType.INT8 : CodeType.NF4;
  }

  /** {@return bytes of the codes of a matrix} */
  public static long codeBytes(CodeType type, long rows, long cols) {
    long elements = Math.multiplyExact(rows, cols);
    return type == CodeType.INT8 ? elements : elements / 2 + elements % 2;
  }

  /** {@return how many scales a matrix has} */
  public static long scaleCount(CodeType type, long rows, long cols, int block) {
    if (type == CodeType.INT8) {
      return rows;
    }
    requireBlock(type, block);
    return (Math.multiplyExact(rows, cols) - 1) / block + 1;
  }

  private static void requireBlock(CodeType type, int block) {
    if (type == CodeType.NF4 && (block < 32 || block > 4096 || Integer.bitCount(block) != 1)) {
      throw new IllegalArgumentException(
          "block must be a power of two in [32, 4096], got " + block);
    }
  }

  private static void requireBytes(String name, Pointer buffer, long needed) {
    if (buffer == null || buffer.isNull()) {
      throw new IllegalArgumentException(name + " must be given, got a null pointer");
    }
    long known = (buffer.limit() - buffer.position()) * buffer.sizeof();
    if (buffer.limit() > 0 && known < needed) {
      throw new IllegalArgumentException(
          "%s must have %d bytes, got %d".formatted(name, needed, known));
    }
  }

  /**
   * {@return some rows, in this one's memory; empty if their first element is amidst a block}
   *
   * @param first 0-based
   * @param count 1 or more
   */
  public Optional<QuantizedMatrix> part(long first, long count) {
    if (first < 0 || count < 1 || first > rows - count) {
      throw new IllegalArgumentException(
          "expected some of %d rows, got %d from %d on".formatted(rows, count, first));
    }
    long element = first * cols;
    boolean bytes = type() == CodeType.INT8;
    if (!bytes && element % block != 0) {
      return Optional.empty();
    }
    long scale = bytes ? first : element / block;
    return Optional.of(
        new QuantizedMatrix(
            count,
            cols,
            new Place(codes, bytes ? element : element / 2),
            new Place(scales, Float.BYTES * scale),
            block,
            table));
  }

  /**
   * Quantises a matrix into these codes and scales, on the CPU. INT8: largest magnitude of a row /
   * 127, codes rounded to nearest even. NF4: as bitsandbytes does; the table must rise.
   *
   * @param w [rows, cols], float32 or bfloat16
   */
  public void quantize(Context context, Matrix w) {
    w.require("w", w.dtype(), rows, cols);
    Arguments call = context.arguments();
    with(
        struct ->
            check(LibPrunePeft.pp_quantize(context.struct(), call.matrix(0, w), struct), context));
  }

  /**
   * Decodes this into a matrix: each element is its code's value times its scale, rounded to
   * float32, and then to the matrix's type.
   *
   * @param to [rows, cols], written
   */
  public void dequantize(Context context, Matrix to) {
    to.require("to", to.dtype(), rows, cols);
    Arguments call = context.arguments();
    with(
        struct ->
            check(
                LibPrunePeft.pp_dequantize(context.struct(), struct, call.matrix(0, to)), context));
  }

  /** What a call does with the native struct, which is gone after it. */
  interface NativeCall {
    void with(QuantizedStruct struct);
  }

  void with(NativeCall call) {
    try (QuantizedStruct struct = new QuantizedStruct();
        FloatPointer values = table == null ? null : new FloatPointer(table)) {
      struct.type(type().ordinal()).rows(rows).cols(cols).block(block).table(values);
      struct.codes(Place.of(codes)).scales(new FloatPointer(Place.of(scales)));
      call.with(struct);
      Reference.reachabilityFence(this);
    }
  }
}
