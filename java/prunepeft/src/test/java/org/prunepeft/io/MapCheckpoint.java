package org.prunepeft.io;

import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Set;

/** Tensors in memory. */
public record MapCheckpoint(String origin, Map<String, SafeTensors.Tensor> tensors)
    implements Checkpoint {
  @Override
  public Set<String> names() {
    return tensors.keySet();
  }

  @Override
  public long[] shape(String name) {
    return tensors.get(name).shape();
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) {
    float[] values = tensors.get(name).values();
    int count = target.remaining() / Float.BYTES;
    for (int i = 0; i < count; i++) {
      target.putFloat(values[(int) first + i]);
    }
  }

  @Override
  public void close() {}
}
