package org.prunepeft.io;

import java.nio.ByteBuffer;

/** A tensor of bytes that are in memory. */
public record BytesSource(SafeTensors.StoredType dtype, byte[] bytes, long... shape)
    implements SafeTensors.Source {
  @Override
  public void read(long offset, ByteBuffer target) {
    target.put(bytes, (int) offset, target.remaining());
  }
}
