package org.prunepeft.checkpoint;

import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import org.prunepeft.io.Checkpoint;

/** Tensors in memory, as the file held them. */
abstract class StoredCheckpoint implements Checkpoint {
  private final String origin;
  private final Map<String, StoredFloats> tensors;

  StoredCheckpoint(String origin, Map<String, StoredFloats> tensors) {
    this.origin = origin;
    this.tensors = tensors;
  }

  /** What is said where a tensor is asked for that is not there. */
  abstract String absence(String name);

  @Override
  public String origin() {
    return origin;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(tensors.keySet());
  }

  @Override
  public long[] shape(String name) {
    return stored(name).outwardShape();
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) {
    stored(name).read(name, first, target);
  }

  private StoredFloats stored(String name) {
    StoredFloats stored = tensors.get(name);
    if (stored == null) {
      throw new NoSuchElementException(absence(name));
    }
    return stored;
  }

  /** Nothing is open. */
  @Override
  public void close() {}
}
