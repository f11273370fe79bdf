package org.prunepeft.kernels;

import org.bytedeco.javacpp.BytePointer;

/**
 * Scratch memory for kernel calls, on the device of the call; grows to the largest request and is
 * used again. Not for two threads or two streams at once. A result of a call never depends on what
 * the workspace held.
 */
public final class Workspace implements AutoCloseable {
  private DeviceBuffer buffer;

  /**
   * At least {@code bytes} of the device's memory, valid until the next call of this method or
   * {@link #close()}.
   */
  BytePointer atLeast(Device device, long bytes) {
    if (buffer == null || buffer.bytes() < bytes || !buffer.device().sharesMemoryWith(device)) {
      close();
      buffer = new DeviceBuffer(device, Math.max(bytes, 4096));
    }
    return buffer.pointer();
  }

  /** {@return bytes held now} */
  public long bytes() {
    return buffer == null ? 0 : buffer.bytes();
  }

  @Override
  public void close() {
    if (buffer != null) {
      buffer.close();
      buffer = null;
    }
  }
}
