package org.prunepeft.data.table;

import java.nio.ByteBuffer;
import org.apache.parquet.bytes.ByteBufferAllocator;
import org.apache.parquet.bytes.HeapByteBufferAllocator;

/**
 * Buffers for parts of a Parquet file, none larger than the file: a page's header may claim any
 * size.
 */
record ParquetBuffers(long most) implements ByteBufferAllocator {
  @Override
  public ByteBuffer allocate(int size) {
    if (size > most) {
      throw new IllegalStateException(
          "a part is to have %d bytes, the file has %d".formatted(size, most));
    }
    return HeapByteBufferAllocator.getInstance().allocate(size);
  }

  @Override
  public void release(ByteBuffer buffer) {
    HeapByteBufferAllocator.getInstance().release(buffer);
  }

  @Override
  public boolean isDirect() {
    return false;
  }
}
