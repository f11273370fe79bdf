package org.prunepeft.train.pass;

import java.util.Iterator;
import java.util.function.Function;
import org.prunepeft.torch.StateExchange;

/**
 * Numbers of each example of a data set, which are computed batch by batch.
 *
 * @param <B> a batch
 */
public final class ExampleOutputs<B> implements BatchedWork {
  private final Iterator<B> left;
  private final Function<B, int[]> indices;
  private final Function<B, float[]> rows;
  private final int width;
  private float[] values;
  private int batches;
  private int done;

  /**
   * @param all batches of the data set; what is in none of them has zeros
   * @param indices gives a batch's examples, by their places in the data set
   * @param rows computes their numbers, one example's after the other's
   * @param examples of the data set
   * @param width numbers of an example
   */
  public ExampleOutputs(
      Iterable<B> all,
      Function<B, int[]> indices,
      Function<B, float[]> rows,
      int examples,
      int width) {
    left = all.iterator();
    this.indices = indices;
    this.rows = rows;
    this.width = width;
    values = new float[Math.multiplyExact(examples, width)];
  }

  @Override
  public boolean next() {
    if (!left.hasNext()) {
      return false;
    }
    B batch = left.next();
    float[] own = rows.apply(batch);
    int[] places = indices.apply(batch);
    for (int i = 0; i < places.length; i++) {
      System.arraycopy(own, i * width, values, places[i] * width, width);
    }
    batches++;
    done += places.length;
    return true;
  }

  @Override
  public int batches() {
    return batches;
  }

  /** How many examples are done. */
  public int done() {
    return done;
  }

  /** In the data set's order, when all is done. */
  public float[] values() {
    return values;
  }

  @Override
  public void exchange(StateExchange state) {
    int kept = state.number("batches", batches);
    values = state.floats("values", values);
    for (; batches < kept; batches++) {
      done += indices.apply(left.next()).length;
    }
  }
}
