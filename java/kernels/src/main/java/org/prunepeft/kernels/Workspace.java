package org.prunepeft.kernels;

import java.util.HashMap;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.prunepeft.kernels.Device.Lane;

/**
 * Scratch memory for kernel calls, on the device of the call: a block for each stream, which grows
 * to the largest request and is used again. Not for two threads at once. A result of a call never
 * depends on what the workspace held.
 */
public final class Workspace implements AutoCloseable {
  private final Map<Lane, DeviceBuffer> buffers = new HashMap<>();

  /**
   * At least {@code bytes} of the device's memory for calls on the device's stream, valid until the
   * next call of this method for the stream, or {@link #close()}.
   */
  BytePointer atLeast(Device device, long bytes) {
    DeviceBuffer buffer = buffers.get(device.lane());
    if (buffer == null || buffer.bytes() < bytes) {
      if (buffer != null) {
        buffers.remove(device.lane()).close();
      }
      buffer = new DeviceBuffer(device, Math.max(bytes, 4096));
      buffers.put(device.lane(), buffer);
    }
    return buffer.pointer();
  }

  /** {@return bytes held now} */
  public long bytes() {
    return buffers.values().stream().mapToLong(DeviceBuffer::bytes).sum();
  }

  @Override
  public void close() {
    buffers.values().forEach(DeviceBuffer::close);
    buffers.clear();
  }
}
