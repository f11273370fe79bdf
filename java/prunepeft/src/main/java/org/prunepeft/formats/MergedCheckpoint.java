package org.prunepeft.formats;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.prunepeft.checkpoint.ChangedCheckpoint;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.peft.AdapterPart.LowRank;

/**
 * A model's weights with low-rank updates folded in: W + s·B·A, and for DoRA m·(W + s·B·A) by the
 * norm of each row; a row of zeros stays one. Computed in float64, rounded to float32 once, a
 * tensor at a time; a value that is not finite then is refused when it is read. Not for two threads
 * at once.
 */
final class MergedCheckpoint extends ChangedCheckpoint {
  /** Of a sum that the type of the model's weights does not hold. */
  private static final String REMEDY =
      "export the adapter itself (--format peft), import it for a copy of the model in bfloat16 or float32 (--model), and merge that";

  private final Checkpoint base;
  private final Map<String, List<Fold>> folds = new HashMap<>();

  /**
   * An update of some rows of a tensor.
   *
   * @param tensor its name
   * @param firstRow that is updated
   * @param rows of the tensor
   */
  record Fold(String tensor, int firstRow, long rows, LowRank update) {}

  /**
   * @param base the encoder's weights by their names within it; stays the caller's
   * @param updates of whole tensors
   * @throws IllegalArgumentException if two updates sit on one projection
   * @throws FormatException if an update does not fit the encoder
   */
  static MergedCheckpoint of(Checkpoint base, List<LowRank> updates) throws FormatException {
    return new MergedCheckpoint(
        base,
        updates.stream()
            .map(update -> new Fold(update.path() + ".weight", 0, update.b().shape()[0], update))
            .toList());
  }

  /**
   * @param base stays the caller's
   * @throws IllegalArgumentException if two updates sit on the same rows
   * @throws FormatException if an update does not fit the model
   */
  MergedCheckpoint(Checkpoint base, Collection<Fold> updates) throws FormatException {
    super(base);
    this.base = base;
    Set<String> seen = new HashSet<>();
    for (Fold fold : updates) {
      if (!base.names().contains(fold.tensor)) {
        throw new FormatException(
            base.origin() + " has no tensor " + fold.tensor + " to merge into");
      }
      long[] expected = {fold.rows, fold.update.a().shape()[1]};
      if (!Arrays.equals(base.shape(fold.tensor), expected)) {
        throw new FormatException(
            "tensor %s of %s has shape %s, the update of it %s"
                .formatted(
                    fold.tensor,
                    base.origin(),
                    Arrays.toString(base.shape(fold.tensor)),
                    Arrays.toString(expected)));
      }
      if (!seen.add(fold.tensor + " " + fold.firstRow)) {
        throw new IllegalArgumentException("two updates sit on " + fold.update.path());
      }
      folds.computeIfAbsent(fold.tensor, name -> new ArrayList<>()).add(fold);
    }
  }

  @Override
  protected boolean changes(String name) {
    return folds.containsKey(name);
  }

  /**
   * @throws FormatException if a value is NaN or infinite, before or after it; names the tensor
   */
  @Override
  protected float[] changed(String name) throws IOException {
    float[] folded = base.finiteFloats(name);
    for (Fold fold : folds.get(name)) {
      add(folded, fold);
    }
    return folded;
  }

  /** In the type that the base has it in, which must hold the sum. */
  @Override
  public SafeTensors.Source source(String name) {
    SafeTensors.Source stored = base.source(name);
    return changes(name) ? SafeTensors.rounded(this, name, stored.dtype(), REMEDY) : stored;
  }

  private void add(float[] weight, Fold fold) throws FormatException {
    LowRank update = fold.update;
    int first = fold.firstRow;
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
        row[k] += weight[(first + i) * cols + k];
        squares += row[k] * row[k];
      }
      double gain = update.magnitude() == null ? 1 : gain(update.magnitude().values()[i], squares);
      for (int k = 0; k < cols; k++) {
        int place = (first + i) * cols + k;
        weight[place] = (float) (gain * row[k]);
        if (!Float.isFinite(weight[place])) {
          throw new FormatException(
              "tensor %s of %s has %s as value %d with the update of %s in it, whose lora_alpha is %s; take another copy of the adapter, or train it anew with a smaller alpha or learning rate"
                  .formatted(
                      fold.tensor,
                      base.origin(),
                      weight[place],
                      place,
                      update.path(),
                      update.alpha()));
        }
      }
    }
  }

  /** Of a row of zeros, which has no direction, 0; of one that is too long for float64, NaN. */
  private static double gain(float magnitude, double squares) {
    if (Double.isInfinite(squares)) {
      return Double.NaN;
    }
    return squares == 0 ? 0 : magnitude / Math.sqrt(squares);
  }
}
