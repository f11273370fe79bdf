package org.prunepeft.checkpoint;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import org.prunepeft.io.Checkpoint;

/** Tensors in memory, as the file held them. */
abstract class StoredCheckpoint implements Checkpoint {
  private final String origin;
  private final Map<String, StoredFloats> tensors;
  private final List<NativeBytes> memory;

  /**
   * @param tensors by their names
   * @param memory where values lie that are outside of Java's heap; freed with this
   */
  StoredCheckpoint(String origin, Map<String, StoredFloats> tensors, List<NativeBytes> memory) {
    this.origin = origin;
    this.tensors = tensors;
    this.memory = memory;
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
    try {
      stored(name).read(name, first, target);
    } finally {
      Reference.reachabilityFence(this); // the memory goes with it
    }
  }

  private StoredFloats stored(String name) {
    StoredFloats stored = tensors.get(name);
    if (stored == null) {
      throw new NoSuchElementException(absence(name));
    }
    return stored;
  }

  /** There are no tensors any more afterwards. */
  @Override
  public void close() {
    tensors.clear();
    memory.forEach(NativeBytes::close);
  }
}
