package org.prunepeft.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Set;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.SafeTensors;

/**
 * A checkpoint of which some tensors have other values, computed a tensor at a time; the last one's
 * are kept.
 */
public abstract class ChangedCheckpoint implements Checkpoint {
  private final Checkpoint base;
  private float[] values;
  private String name;

  /**
   * @param base is closed with this
   */
  protected ChangedCheckpoint(Checkpoint base) {
    this.base = base;
  }

  /** Whether a tensor's values are others than in the base. */
  protected abstract boolean changes(String name);

  /**
   * Computes all values of such a tensor, row-major.
   *
   * @throws IOException if reading fails
   */
  protected abstract float[] changed(String name) throws IOException;

  @Override
  public String origin() {
    return base.origin();
  }

  @Override
  public Set<String> names() {
    return base.names();
  }

  @Override
  public long[] shape(String name) {
    return base.shape(name);
  }

  @Override
  public synchronized void readFloats(String name, long first, ByteBuffer target)
      throws IOException {
    if (!changes(name)) {
      base.readFloats(name, first, target);
      return;
    }
    if (!name.equals(this.name)) {
      values = changed(name);
      this.name = name;
    }
    int count = target.remaining() / Float.BYTES;
    target.asFloatBuffer().put(values, Math.toIntExact(first), count);
    target.position(target.limit());
  }

  /** In the type that the base has it in. */
  @Override
  public SafeTensors.Source source(String name) {
    SafeTensors.Source stored = base.source(name);
    return changes(name) ? SafeTensors.rounded(this, name, stored.dtype()) : stored;
  }

  @Override
  public void close() throws IOException {
    base.close();
  }
}
