package org.prunepeft.kernels;

import org.bytedeco.javacpp.BytePointer;

/**
 * Scratch memory for CPU kernel calls; grows to the largest request and is used again. Not for two
 * threads at once. A result of a call never depends on what the workspace held.
 */
public final class Workspace implements AutoCloseable {
  private BytePointer memory;

  /**
   * At least {@code bytes} of memory, valid until the next call of this method or {@link #close()}.
   */
  BytePointer atLeast(long bytes) {
    if (memory == null || memory.capacity() < bytes) {
      close();
      memory = new BytePointer(Math.max(bytes, 4096));
      // It outlives the PointerScope of the step that asked for it.
      memory.retainReference();
    }
    return memory;
  }

  /** Bytes held now. */
  public long bytes() {
    return memory == null ? 0 : memory.capacity();
  }

  @Override
  public void close() {
    if (memory != null) {
      memory.releaseReference();
      memory = null;
    }
  }
}
