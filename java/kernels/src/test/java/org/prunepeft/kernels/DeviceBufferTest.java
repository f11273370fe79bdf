package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.ref.WeakReference;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.junit.jupiter.api.Test;

class DeviceBufferTest extends CpuTest {
  @Test
  void aPointerThatIsMovedMovesNoOther() {
    try (DeviceBuffer buffer = new DeviceBuffer(Device.cpu(), 8)) {
      buffer.pointer().position(4);
      buffer.put(new float[] {1, 2});
      assertArrayEquals(new float[] {1, 2}, buffer.floats(2));
      assertEquals(2, new FloatPointer(Place.of(buffer.pointer().position(4))).get());
    }
  }

  @Test
  void copiesBeginWhereTheHostsPointerStands() {
    try (DeviceBuffer buffer = new DeviceBuffer(Device.cpu(), 8);
        FloatPointer host = new FloatPointer(1, 2, 3, 4)) {
      buffer.put(host.position(2), 8);
      assertArrayEquals(new float[] {3, 4}, buffer.floats(2));
    }
  }

  @Test
  void whatAMatrixLiesInIsNotForgotten() {
    WeakReference<DeviceBuffer> buffer =
        new WeakReference<>(DeviceBuffer.of(Device.cpu(), 1, 2, 3, 4));
    Matrix part = buffer.get().matrix(2, 2).part(1, 0, 1, 2);
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    assertNotNull(buffer.get());
    assertEquals(3, new FloatPointer(part.data()).get());
  }

  @Test
  void codesAndScalesLieInOneBuffer() {
    Buffer w = Buffer.random(random, 3, 5);
    QuantizedMatrix apart = QuantizedMatrix.int8(3, 5, new BytePointer(15), new FloatPointer(3));
    apart.quantize(context, w.matrix());
    try (DeviceBuffer buffer = new DeviceBuffer(Device.cpu(), 16 + 12);
        BytePointer host = new BytePointer(28)) {
      BytePointer codes = (BytePointer) apart.codes();
      FloatPointer scales = (FloatPointer) apart.scales();
      for (int i = 0; i < 15; i++) {
        host.put(i, codes.get(i));
      }
      for (int i = 0; i < 3; i++) {
        host.putFloat(16 + 4 * i, scales.get(i));
      }
      buffer.put(host, 28);
      QuantizedMatrix together =
          QuantizedMatrix.int8(3, 5, buffer.pointer(), buffer.pointer().position(16));
      Buffer[] decoded = {Buffer.poisoned(3, 5), Buffer.poisoned(3, 5)};
      apart.dequantize(context, decoded[0].matrix());
      together.dequantize(context, decoded[1].matrix());
      assertArrayEquals(decoded[0].values(), decoded[1].values());
    }
  }

  @Test
  void aSumIsWrittenWhereItsPointerStands() {
    Buffer p = Buffer.random(random, 4, 2);
    Buffer q = Buffer.random(random, 3, 2);
    ModuleOutput output = new ModuleOutput(p.matrix(), Activation.IDENTITY, q.matrix(), null);
    try (DeviceBuffer sums = DeviceBuffer.of(Device.cpu(), 0, 0, 0, 0)) {
      output.magnitude(context, null, sums.pointer().position(8));
      assertArrayEquals(new double[] {0, output.magnitude(context, null)}, sums.doubles(2));
    }
  }

  @Test
  void aCounterIsReadWhereItsPointerStands() {
    Buffer x = Buffer.random(random, 6, 8);
    Buffer a = Buffer.random(random, 2, 8);
    Buffer[] s = {Buffer.poisoned(6, 2), Buffer.poisoned(6, 2)};
    try (DeviceBuffer memory = new DeviceBuffer(Device.cpu(), 16);
        IntPointer numbers = new IntPointer(0, 0, 11, 3)) {
      memory.put(numbers, 16);
      Dropout[] dropouts = {
        new Dropout(0.5f, 7, 1, 11, 3), new Dropout(0.5f, 7, 1, 0, 0, memory.pointer().position(8))
      };
      for (int i = 0; i < 2; i++) {
        LoraModule<Matrix> module = new LoraModule<>(a.matrix(), null, 0, null, 1, dropouts[i]);
        Linear.down(context, x.matrix(), java.util.List.of(new LoraPass(module, s[i].matrix())));
      }
      assertArrayEquals(s[0].values(), s[1].values());
    }
  }

  @Test
  void aClosedBufferIsRefused() {
    DeviceBuffer buffer = new DeviceBuffer(Device.cpu(), 8);
    Matrix part = buffer.matrix(2, 1).part(1, 0, 1, 1);
    buffer.close();
    assertThrows(
        IllegalStateException.class,
        () -> new ModuleOutput(part, Activation.IDENTITY, part, null).magnitude(context, null));
    assertThrows(IllegalStateException.class, buffer::pointer);
    assertThrows(IllegalStateException.class, () -> buffer.put(new float[1]));
  }
}
