package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.io.SafeTensors.StoredType;

class FloatFormatTest {
  private static float value(StoredType dtype, int bits) {
    ByteBuffer source = ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN);
    source.putShort((short) bits).flip();
    ByteBuffer target = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    FloatFormat.convert(dtype, source, target);
    return target.getFloat(0);
  }

  private static int rounded(StoredType dtype, float value) {
    ByteBuffer source = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    source.putFloat(value).flip();
    ByteBuffer target = ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN);
    FloatFormat.round(dtype, source, target);
    return target.getShort(0) & 0xffff;
  }

  /** Each value itself, and what lies between it and the next: nearest, and in the middle even. */
  @ParameterizedTest
  @EnumSource(
      value = StoredType.class,
      names = {"F16", "BF16"})
  void floatsAreRoundedToTheNearestValue(StoredType dtype) {
    int infinity = dtype == StoredType.F16 ? 0x7c00 : 0x7f80;
    for (int bits = 0; bits < infinity; bits++) {
      float low = value(dtype, bits);
      assertEquals(bits, rounded(dtype, low));
      assertEquals(bits | 0x8000, rounded(dtype, -low));
      // Beyond the largest as if the exponent had no end.
      double high =
          bits + 1 < infinity ? value(dtype, bits + 1) : 2.0 * low - value(dtype, bits - 1);
      float middle = (float) ((low + high) / 2);
      assertEquals(bits + (bits & 1), rounded(dtype, middle));
      assertEquals(bits, rounded(dtype, Math.nextDown(middle)));
      assertEquals(bits + 1, rounded(dtype, Math.nextUp(middle)));
    }
    assertEquals(infinity, rounded(dtype, Float.POSITIVE_INFINITY));
    assertEquals(Float.NaN, value(dtype, rounded(dtype, Float.NaN)));
    assertEquals(Float.NaN, value(dtype, rounded(dtype, Float.intBitsToFloat(0x7f80_0001))));
    assertEquals(Float.NaN, value(dtype, rounded(dtype, Float.intBitsToFloat(0xffff_ffff))));
  }

  /** Which of some values, from 0, would become infinite; -1: none. */
  private static int beyond(StoredType dtype, float... values) {
    ByteBuffer source =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.nativeOrder());
    source.asFloatBuffer().put(values);
    return FloatFormat.beyond(dtype, source);
  }

  @ParameterizedTest
  @EnumSource(
      value = StoredType.class,
      names = {"F16", "BF16"})
  void aValueThatBecomesInfiniteIsFound(StoredType dtype) {
    int infinity = dtype == StoredType.F16 ? 0x7c00 : 0x7f80;
    float largest = value(dtype, infinity - 1);
    float next = (float) (1.5 * largest - 0.5 * value(dtype, infinity - 2));
    float below = Math.nextDown(next);
    assertEquals(infinity - 1, rounded(dtype, below));
    assertEquals(infinity, rounded(dtype, next));
    assertEquals(-1, beyond(dtype, 0, -1, largest, below, -below, Float.MIN_VALUE));
    assertEquals(2, beyond(dtype, 1, below, next, next));
    assertEquals(1, beyond(dtype, 1, -next));
    assertEquals(0, beyond(dtype, Float.MAX_VALUE));
    // Were none before.
    assertEquals(-1, beyond(dtype, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN));
  }
}
