package org.prunepeft.io;

import java.nio.ByteBuffer;
import org.prunepeft.io.SafeTensors.StoredType;

/** Floating-point formats as float32, of which all values of 16 and 8 bits are exact, and back. */
final class FloatFormat {
  private static final float[] E4M3 = table(4, 7, false, bits -> (bits & 0x7f) == 0x7f);
  private static final float[] E5M2 = table(5, 15, true, bits -> false);
  private static final float[] E4M3FNUZ = table(4, 8, false, bits -> bits == 0x80);
  private static final float[] E5M2FNUZ = table(5, 16, false, bits -> bits == 0x80);

  private static final int INFINITY = 0x7f80_0000;

  /** 65520, halfway from float16's largest value to what would follow it. */
  private static final int HALF_INFINITY = 0x477f_f000;

  /** The same of bfloat16. */
  private static final int BFLOAT_INFINITY = 0x7f7f_8000;

  private FloatFormat() {}

  /**
   * Converts what remains in the source; both are advanced.
   *
   * @param source little-endian
   * @param target float32 in its own byte order
   */
  static void convert(StoredType dtype, ByteBuffer source, ByteBuffer target) {
    while (source.hasRemaining()) {
      target.putFloat(
          switch (dtype) {
            case F64 -> (float) source.getDouble();
            case F32 -> source.getFloat();
            case F16 -> half(source.getShort());
            case BF16 -> Float.intBitsToFloat(source.getShort() << 16);
            case F8_E4M3 -> E4M3[source.get() & 0xff];
            case F8_E5M2 -> E5M2[source.get() & 0xff];
            case F8_E4M3FNUZ -> E4M3FNUZ[source.get() & 0xff];
            case F8_E5M2FNUZ -> E5M2FNUZ[source.get() & 0xff];
            case F8_E8M0 -> power(source.get() & 0xff);
            default -> throw new IllegalArgumentException(dtype + " is no floating-point type");
          });
    }
  }

  /**
   * Rounds what remains in the source to nearest, ties to even; both are advanced.
   *
   * @param dtype F16 or BF16
   * @param source float32 in its own byte order
   * @param target in its own byte order
   */
  static void round(StoredType dtype, ByteBuffer source, ByteBuffer target) {
    while (source.hasRemaining()) {
      float value = source.getFloat();
      target.putShort(dtype == StoredType.F16 ? toHalf(value) : toBfloat(value));
    }
  }

  /**
   * {@return which of the values, from 0, is finite and would be rounded to infinity; -1: none}
   *
   * @param dtype F16 or BF16
   * @param source float32 in its own byte order, from its start; stays as it is
   */
  static int beyond(StoredType dtype, ByteBuffer source) {
    int least = dtype == StoredType.F16 ? HALF_INFINITY : BFLOAT_INFINITY;
    for (int i = 0; i < source.limit() / Float.BYTES; i++) {
      int magnitude = source.getInt(i * Float.BYTES) & 0x7fff_ffff;
      if (magnitude >= least && magnitude < INFINITY) {
        return i;
      }
    }
    return -1;
  }

  private static short toBfloat(float value) {
    int bits = Float.floatToRawIntBits(value);
    // A not-a-number must not become infinity.
    return (short) (value != value ? bits >>> 16 | 0x40 : bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  private static short toHalf(float value) {
    int bits = Float.floatToRawIntBits(value);
    int magnitude = bits & 0x7fff_ffff;
    int half;
    if (value != value) {
      half = 0x7e00;
    } else if (magnitude >= HALF_INFINITY) {
      half = 0x7c00;
    } else if (magnitude < 0x3880_0000) { // 2^-14, the least that has a full fraction
      half = (int) Math.rint(Math.abs(value) * 0x1p24f);
    } else {
      half = (magnitude + 0xfff + (magnitude >>> 13 & 1) >>> 13) - (112 << 10);
    }
    return (short) (bits >>> 16 & 0x8000 | half);
  }

  /** The value of an IEEE 754 binary16. */
  private static float half(short bits) {
    int exponent = bits >> 10 & 0x1f;
    int fraction = bits & 0x3ff;
    float magnitude =
        switch (exponent) {
          case 0 -> fraction * 0x1p-24f;
          case 0x1f -> Float.intBitsToFloat(0x7f80_0000 | fraction << 13);
          default -> Float.intBitsToFloat(exponent + 112 << 23 | fraction << 13);
        };
    return bits < 0 ? -magnitude : magnitude;
  }

  /** A scale of the OCP's microscaling formats: no sign, no fraction; 255 is not a number. */
  private static float power(int bits) {
    return bits == 0xff ? Float.NaN : (float) Math.scalb(1.0, bits - 127);
  }

  /** Whether bits mean no number. */
  private interface NotANumber {
    boolean test(int bits);
  }

  /**
   * All values of a format of 8 bits: sign, exponent, fraction.
   *
   * @param infinities whether the largest exponent means infinity and not-a-number, as in IEEE 754
   */
  private static float[] table(
      int exponentBits, int bias, boolean infinities, NotANumber notANumber) {
    int fractionBits = 7 - exponentBits;
    float[] values = new float[256];
    for (int bits = 0; bits < 256; bits++) {
      int exponent = (bits & 0x7f) >> fractionBits;
      int fraction = bits & (1 << fractionBits) - 1;
      float magnitude =
          exponent == 0
              ? Math.scalb((float) fraction, 1 - bias - fractionBits)
              : Math.scalb(
                  (float) (fraction + (1 << fractionBits)), exponent - bias - fractionBits);
      if (infinities && exponent == (1 << exponentBits) - 1) {
        magnitude = fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
      }
      values[bits] = notANumber.test(bits) ? Float.NaN : bits < 128 ? magnitude : -magnitude;
    }
    return values;
  }
}
