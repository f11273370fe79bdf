package org.prunepeft.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.QuantizedTensor;
import org.prunepeft.io.SafeTensors;

/**
 * Some tensors of a checkpoint under other names.
 *
 * @param stored the checkpoint's name of each
 */
record RenamedCheckpoint(Checkpoint checkpoint, Map<String, String> stored) implements Checkpoint {
  RenamedCheckpoint {
    stored = Collections.unmodifiableMap(new TreeMap<>(stored));
  }

  @Override
  public String origin() {
    return checkpoint.origin();
  }

  @Override
  public Set<String> names() {
    return stored.keySet();
  }

  @Override
  public long[] shape(String name) {
    return checkpoint.shape(storedName(name));
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) throws IOException {
    checkpoint.readFloats(storedName(name), first, target);
  }

  @Override
  public SafeTensors.Source source(String name) {
    return checkpoint.source(storedName(name));
  }

  @Override
  public Optional<QuantizedTensor> quantized(String name) throws IOException {
    return checkpoint.quantized(storedName(name));
  }

  private String storedName(String name) {
    String own = stored.get(name);
    if (own == null) {
      throw new NoSuchElementException(origin() + " has no tensor " + name);
    }
    return own;
  }

  @Override
  public void close() throws IOException {
    checkpoint.close();
  }
}
