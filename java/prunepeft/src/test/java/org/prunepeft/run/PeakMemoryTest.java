package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

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
  void aSpanHasThePeakWithinItAndNoEarlierOne() {
    assumeTrue(Files.isWritable(Path.of("/proc/self/clear_refs")), "the system has no such mark");
    PeakMemory outer = PeakMemory.begin();
    PeakMemory before = PeakMemory.begin();
    before.end();
    PeakMemory during = PeakMemory.begin();
    take();
    long most = during.bytes();
    during.end();
    PeakMemory after = PeakMemory.begin();
    assertTrue(most > TAKEN, "" + most);
    assertTrue(most - after.bytes() > CLEAR, most + " and later " + after.bytes());
    assertEquals(most, outer.bytes(), CLEAR, "it was open all the time");
    assertEquals(most, during.bytes(), "it is over");
    after.end();
    outer.end();
  }
}
