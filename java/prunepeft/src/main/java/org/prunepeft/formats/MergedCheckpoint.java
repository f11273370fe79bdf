package org.prunepeft.formats;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.peft.AdapterPart.LowRank;

/**
 * An encoder's weights with low-rank updates folded in: W + s·B·A, and for DoRA m·(W + s·B·A) by
 * the norm of each row. Computed in float64, rounded to float32 once, a tensor at a time. Not for
 * two threads at once.
 */
final class MergedCheckpoint implements Checkpoint {
  private final Checkpoint base;
  private final Map<String, LowRank> updates = new HashMap<>();

  private String foldedName;
  private float[] folded;

  /**
   * @param base the encoder's weights by their names within it; stays the caller's
   * @throws IllegalArgumentException if two updates sit on one projection
   * @throws FormatException if an update does not fit the encoder
   */
  MergedCheckpoint(Checkpoint base, List<LowRank> updates) throws FormatException {
    this.base = base;
    for (LowRank update : updates) {
      String name = update.path() + ".weight";
      if (!base.names().contains(name)) {
        throw new FormatException(base.origin() + " has no tensor " + name + " to merge into");
      }
      long[] expected = {update.b().shape()[0], update.a().shape()[1]};
      if (!Arrays.equals(base.shape(name), expected)) {
        throw new FormatException(
            "tensor %s of %s has shape %s, the update of it %s"
                .formatted(
                    name,
                    base.origin(),
                    Arrays.toString(base.shape(name)),
                    Arrays.toString(expected)));
      }
      if (this.updates.put(name, update) != null) {
        throw new IllegalArgumentException("two updates sit on " + update.path());
      }
    }
  }

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
    LowRank update = updates.get(name);
    if (update == null) {
      base.readFloats(name, first, target);
      return;
    }
    if (!name.equals(foldedName)) {
      folded = fold(base.floats(name), update);
      foldedName = name;
    }
    int count = target.remaining() / Float.BYTES;
    target.asFloatBuffer().put(folded, Math.toIntExact(first), count);
    target.position(target.limit());
  }

  /** In place. */
  private static float[] fold(float[] weight, LowRank update) {
    float[] a = update.a().values();
    float[] b = update.b().values();
    int rank = update.rank();
    int rows = (int) update.b().shape()[0];
    int cols = (int) update.a().shape()[1];
    double[] row = new double[cols];
    for (int i = 0; i < rows; i++) {
      Arrays.fill(row, 0);
      for (int r = 0; r < rank; r++) {
        double factor = update.scale(r) * b[i * rank + r];
        for (int k = 0; k < cols; k++) {
          row[k] += factor * a[r * cols + k];
        }
      }
      double squares = 0;
      for (int k = 0; k < cols; k++) {
        row[k] += weight[i * cols + k];
        squares += row[k] * row[k];
      }
      double gain =
          update.magnitude() == null ? 1 : update.magnitude().values()[i] / Math.sqrt(squares);
      for (int k = 0; k < cols; k++) {
        weight[i * cols + k] = (float) (gain * row[k]);
      }
    }
    return weight;
  }

  @Override
  public void close() throws IOException {
    base.close();
  }
}
