package org.prunepeft.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.RotaryOp;

/**
 * Cosines and sines of a rotary embedding by position, made when they are first asked for. Good for
 * several threads at once.
 */
final class RotaryTables implements AutoCloseable {
  private static final int FEWEST = 64;

  /**
   * Lengths beyond the context of a dynamic scaling have a table each, since their frequencies
   * depend on the exact length; so many are kept, and those that recordings read.
   */
  static final int MOST = 8;

  /** Those of the first positions. */
  private static final class AngleTable {
    /** The length that the frequencies are for. */
    final int reach;

    final RotaryOp.Angles angles;

    /** What is recorded on a GPU refers to nothing: then it stays. */
    boolean recorded;

    AngleTable(int reach, RotaryOp.Angles angles) {
      this.reach = reach;
      this.angles = angles;
    }
  }

  private final Rope rope;
  private final int positions;
  private final ComputeDevice device;

  /** The newest comes last. */
  private final List<AngleTable> tables = new ArrayList<>();

  /**
   * @param positions the most that are asked for
   */
  RotaryTables(Rope rope, int positions, ComputeDevice device) {
    this.rope = rope;
    this.positions = positions;
    this.device = device;
  }

  /**
   * {@return a table of so many positions or more, or of all that there are; good as long as it is
   * referred to and this is not closed}
   *
   * @param longest tokens of the longest sequence
   */
  synchronized RotaryOp.Angles of(int longest) {
    int length = Math.min(longest, positions);
    int reach = rope.reach(length);
    for (AngleTable table : tables) {
      if (table.reach == reach && table.angles.cosines().size(0) >= length) {
        table.recorded |= RecordedWork.isRecording();
        return table.angles;
      }
    }
    List<AngleTable> loose = tables.stream().filter(table -> !table.recorded).toList();
    if (loose.size() == MOST) {
      // Passes may still read it, which refer to it: then it is freed when they no longer do.
      tables.remove(loose.get(0));
    }
    int rows =
        reach == length
            ? length
            : Math.min(positions, Math.max(FEWEST, 2 * Integer.highestOneBit(length)));
    AngleTable made = make(reach, rows);
    made.recorded = RecordedWork.isRecording();
    tables.add(made);
    return made.angles;
  }

  private AngleTable make(int reach, int rows) {
    double[] frequencies = rope.frequencies(reach);
    int columns = frequencies.length;
    float[] cosines = new float[rows * columns];
    float[] sines = new float[rows * columns];
    for (int i = 0; i < cosines.length; i++) {
      double angle = i / columns * frequencies[i % columns];
      cosines[i] = (float) (Math.cos(angle) * rope.attentionFactor());
      sines[i] = (float) (Math.sin(angle) * rope.attentionFactor());
    }
    return new AngleTable(
        reach, new RotaryOp.Angles(kept(cosines, rows, columns), kept(sines, rows, columns)));
  }

  private Tensor kept(float[] values, int rows, int columns) {
    Tensor tensor = device.floats(values, rows, columns);
    tensor.retainReference();
    return tensor;
  }

  @Override
  public synchronized void close() {
    for (AngleTable table : tables) {
      table.angles.cosines().releaseReference();
      table.angles.sines().releaseReference();
    }
    tables.clear();
  }
}
