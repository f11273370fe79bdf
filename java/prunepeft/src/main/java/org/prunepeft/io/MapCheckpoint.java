package org.prunepeft.io;

import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;

/**
 * Float32 tensors in memory.
 *
 * @param origin what messages call it
 * @param tensors by name; not copied
 */
public record MapCheckpoint(String origin, Map<String, SafeTensors.Tensor> tensors)
    implements Checkpoint {
  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(tensors.keySet());
  }

  @Override
  public long[] shape(String name) {
    return tensor(name).shape().clone();
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) {
    float[] values = tensor(name).values();
    int count = target.remaining() / Float.BYTES;
    if (first < 0 || first > values.length - count) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on"
              .formatted(name, values.length, count, first));
    }
    target.asFloatBuffer().put(values, (int) first, count);
    target.position(target.limit());
  }

  private SafeTensors.Tensor tensor(String name) {
    SafeTensors.Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new NoSuchElementException(
          "%s has no tensor %s among its %d".formatted(origin, name, tensors.size()));
    }
    return tensor;
  }

  /** Nothing is open. */
  @Override
  public void close() {}
}
