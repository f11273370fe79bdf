package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** The conversions that tests of 16-bit types rest on. */
class DeviceMatrixTest {
  @Test
  void everyHalfIsReadAndWrittenBack() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      double value = DeviceMatrix.halfValue((short) bits);
      if (!Double.isNaN(value)) {
        assertEquals((short) bits, DeviceMatrix.halfBits((float) value), Integer.toHexString(bits));
      }
    }
    assertEquals(1.0, DeviceMatrix.halfValue((short) 0x3c00));
    assertEquals(65504.0, DeviceMatrix.halfValue((short) 0x7bff));
    assertEquals(0x1p-24, DeviceMatrix.halfValue((short) 1));
    assertEquals(Double.NaN, DeviceMatrix.halfValue(DeviceMatrix.halfBits(Float.NaN)));
  }

  @Test
  void roundingIsToTheNearestAndTiesGoToEven() {
    assertEquals((short) 0x3c00, DeviceMatrix.halfBits(1 + 0x1p-11f));
    assertEquals((short) 0x3c02, DeviceMatrix.halfBits(1 + 3 * 0x1p-11f));
    assertEquals((short) 0x3c01, DeviceMatrix.halfBits(1 + 0x1p-11f + 0x1p-20f));
    assertEquals((short) 0, DeviceMatrix.halfBits(0x1p-25f));
    assertEquals((short) 0x8002, DeviceMatrix.halfBits(-3 * 0x1p-25f));
    assertEquals((short) 0x0400, DeviceMatrix.halfBits(0x1p-14f - 0x1p-26f));
    assertEquals((short) 0x7bff, DeviceMatrix.halfBits(65519));
    assertEquals((short) 0xfc00, DeviceMatrix.halfBits(-65520));
    assertEquals((short) 0x3f80, DeviceMatrix.bfloat16Bits(1 + 0x1p-8f));
    assertEquals((short) 0x3f82, DeviceMatrix.bfloat16Bits(1 + 3 * 0x1p-8f));
    assertEquals((short) 0xbf81, DeviceMatrix.bfloat16Bits(-1 - 0x1p-8f - 0x1p-20f));
    assertEquals((short) 0x7f80, DeviceMatrix.bfloat16Bits(Float.MAX_VALUE));
  }
}
