package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.prunepeft.torch.StateExchange;

class StopwatchTest {
  /** No test takes as long. */
  private static final double LONG = 1000;

  /** Of one number. */
  private static final class Checkpoint implements StateExchange {
    private final boolean restoring;
    private Object stored;

    Checkpoint(boolean restoring, Object stored) {
      this.restoring = restoring;
      this.stored = stored;
    }

    @Override
    public boolean restoring() {
      return restoring;
    }

    @Override
    public void tensor(String name, Tensor tensor) {
      throw new AssertionError(name);
    }

    @Override
    public float[] floats(String name, float[] now) {
      throw new AssertionError(name);
    }

    @Override
    public <T> T value(String name, Class<T> type, T now) {
      assertEquals("seconds", name);
      if (!restoring) {
        stored = now;
      }
      return type.cast(stored);
    }

    @Override
    public StateExchange part(String name) {
      throw new AssertionError(name);
    }
  }

  private static void assertOnceAndABit(double seconds) {
    assertTrue(seconds >= LONG && seconds < 2 * LONG, seconds + " s");
  }

  @Test
  void secondsOfACheckpointAreCountedOnce() {
    Stopwatch running = new Stopwatch();
    running.begin();
    running.exchange(new Checkpoint(true, LONG));
    Checkpoint next = new Checkpoint(false, null);
    running.exchange(next);
    assertOnceAndABit((double) next.stored);
    assertOnceAndABit(running.end());
  }

  @Test
  void workThatBeginsAfterACheckpointIsAdded() {
    Stopwatch restored = new Stopwatch();
    restored.exchange(new Checkpoint(true, LONG));
    restored.begin();
    assertOnceAndABit(restored.end());
  }

  @Test
  void workThatIsOverStaysAsLong() {
    Stopwatch over = new Stopwatch();
    over.exchange(new Checkpoint(true, LONG));
    Checkpoint next = new Checkpoint(false, null);
    over.exchange(next);
    assertEquals(LONG, next.stored);
  }
}
