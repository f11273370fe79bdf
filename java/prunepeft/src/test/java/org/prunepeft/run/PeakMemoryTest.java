package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.ProcessMark;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.MemoryMark;

class PeakMemoryTest {
  private static final long TAKEN = 300_000_000;

  /** Half of what is taken: the rest of the process goes on meanwhile. */
  private static final long CLEAR = TAKEN / 2;

  private static void take() {
    try (BytePointer memory = new BytePointer(TAKEN)) {
      Pointer.memset(memory, 1, TAKEN);
    }
  }

  @Test
  void aSpanHasThePeakWithinItAndNoEarlierOne() throws IOException {
    ProcessMark.requireToSetBack();
    PeakMemory.Span outer = PeakMemory.PROCESS.begin();
    PeakMemory.Span before = PeakMemory.PROCESS.begin();
    before.end();
    PeakMemory.Span during = PeakMemory.PROCESS.begin();
    take();
    long most = during.bytes();
    during.end();
    PeakMemory.Span after = PeakMemory.PROCESS.begin();
    assertTrue(most > TAKEN, "" + most);
    assertTrue(most - after.bytes() > CLEAR, most + " and later " + after.bytes());
    assertEquals(most, outer.bytes(), CLEAR, "it was open all the time");
    assertEquals(most, during.bytes(), "it is over");
    after.end();
    outer.end();
  }

  /** Bytes that are taken now and at most since the mark was set back, as an allocator counts. */
  static final class CountedMark implements MemoryMark {
    private long now;
    private long most;

    void take(long bytes) {
      now += bytes;
      most = Math.max(most, now);
    }

    @Override
    public long take() {
      long taken = most;
      most = now;
      return taken;
    }
  }

  @Test
  void spansThatOverlapHaveThePeaksWithinThem() {
    CountedMark mark = new CountedMark();
    PeakMemory memory = new PeakMemory(mark);
    mark.take(70);
    mark.take(-60);
    PeakMemory.Span outer = memory.begin();
    mark.take(30);
    mark.take(-30);
    PeakMemory.Span inner = memory.begin();
    mark.take(10);
    assertEquals(20, inner.bytes());
    assertEquals(40, outer.bytes(), "of before the inner one began");
    inner.end();
    mark.take(80);
    assertEquals(100, outer.bytes());
    assertEquals(20, inner.bytes(), "it is over");
  }

  @Test
  void theCpuHasNoMemoryOfItsOwn() {
    assertTrue(PeakMemory.of(ComputeDevice.CPU).isEmpty());
  }
}
