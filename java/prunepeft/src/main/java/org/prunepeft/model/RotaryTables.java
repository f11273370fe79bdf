package org.prunepeft.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.ComputeDevice;

/**
 * Cosines and sines of a rotary embedding by position, made when they are first asked for. Good for
 * several threads at once.
 */
final class RotaryTables implements AutoCloseable {
  private static final int FEWEST = 64;

  /**
   * Those of the first positions.
   *
   * @param reach the length that the frequencies are for
   * @param cosines [P, size / 2] float32
   * @param sines of the same shape
   */
  record Table(int reach, Tensor cosines, Tensor sines) {}

  private final Rope rope;
  private final int positions;
  private final ComputeDevice device;

  /** Shorter ones stay, since a pass may still read them. */
  private final List<Table> tables = new ArrayList<>();

  /**
   * @param positions the most that are asked for
   */
  RotaryTables(Rope rope, int positions, ComputeDevice device) {
    this.rope = rope;
    this.positions = positions;
    this.device = device;
  }

  /**
   * {@return a table of so many positions or more, owned by this}
   *
   * @param length of the longest sequence
   */
  synchronized Table of(int length) {
    int reach = rope.reach(length);
    for (Table table : tables) {
      if (table.reach == reach && table.cosines.size(0) >= length) {
        return table;
      }
    }
    Table made =
        make(reach, Math.min(positions, Math.max(FEWEST, 2 * Integer.highestOneBit(length))));
    tables.add(made);
    return made;
  }

  private Table make(int reach, int rows) {
    double[] frequencies = rope.frequencies(reach);
    int columns = frequencies.length;
    float[] cosines = new float[rows * columns];
    float[] sines = new float[rows * columns];
    for (int i = 0; i < cosines.length; i++) {
      double angle = i / columns * frequencies[i % columns];
      cosines[i] = (float) (Math.cos(angle) * rope.attentionFactor());
      sines[i] = (float) (Math.sin(angle) * rope.attentionFactor());
    }
    return new Table(reach, kept(cosines, rows, columns), kept(sines, rows, columns));
  }

  private Tensor kept(float[] values, int rows, int columns) {
    Tensor tensor = device.floats(values, rows, columns);
    tensor.retainReference();
    return tensor;
  }

  @Override
  public synchronized void close() {
    for (Table table : tables) {
      table.cosines.releaseReference();
      table.sines.releaseReference();
    }
    tables.clear();
  }
}
