package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.RotaryOp;
import org.prunepeft.torch.Torch;

class RotaryTablesTest {
  /** Beyond 16 positions each length has frequencies of its own. */
  private static final Rope DYNAMIC =
      DecoderFamilies.rope(1e4, 4, 16).with().type(Rope.Type.DYNAMIC).factor(8).build();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** Asks as a pass does that is recorded. */
  private static final class Recorder implements RecordedWork.Recorder {
    @Override
    public void rehearse(Runnable work) {
      work.run();
    }

    @Override
    public RecordedWork.Recording record(Runnable work) {
      work.run();
      return new RecordedWork.Recording() {
        @Override
        public void launch() {}

        @Override
        public void close() {}
      };
    }
  }

  @Test
  void theTablesOfTheLastLengthsAreKeptAndThoseThatRecordingsRead() {
    try (RotaryTables tables = new RotaryTables(DYNAMIC, 128, ComputeDevice.CPU);
        RecordedWork work = new RecordedWork(new Recorder(), () -> tables.of(20), List.of())) {
      RotaryOp.Angles recorded = tables.of(20);
      RotaryOp.Angles loose = tables.of(21);
      work.run();
      work.run();
      for (int length = 22; length < 22 + RotaryTables.MOST; length++) {
        RotaryOp.Angles made = tables.of(length);
        assertSame(made, tables.of(length));
      }
      assertSame(recorded, tables.of(20));
      RotaryOp.Angles again = tables.of(21);
      assertNotSame(loose, again);
      assertArrayEquals(Torch.toFloats(loose.cosines()), Torch.toFloats(again.cosines()));
      double slowest = DYNAMIC.frequencies(21)[1];
      float[] sines = Torch.toFloats(again.sines());
      assertArrayEquals(
          new float[] {(float) Math.sin(20), (float) Math.sin(20 * slowest)},
          new float[] {sines[2 * 20], sines[2 * 20 + 1]},
          1e-6f);
    }
  }
}
