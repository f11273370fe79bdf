package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.testing.TestSeed;

/** When checkpoints are made, by a clock that the test moves. */
class CheckpointScheduleTest {
  private static final long FIRST = TimeUnit.SECONDS.toNanos(10);

  @TempDir private Path temporary;
  private final int checkpoints = TestSeed.iterations(60);
  private final Random random = TestSeed.random();
  private long now = random.nextLong();
  private long cost;
  private CheckpointStore store;
  private CheckpointStore.OfRun run;

  private void begin(int steps) {
    begin(steps, 1);
  }

  private void begin(int steps, int weights) {
    RunDirectory directory = RunDirectory.create(temporary.resolve("run"));
    store = new CheckpointStore(directory, new Checkpointing(steps, false), () -> now);
    run = store.of("run");
    run.add(
        "training",
        state -> {
          now += cost;
          state.floats("weights", new float[weights]);
        });
  }

  @AfterEach
  void close() {
    store.close();
  }

  /** Of seconds, as many short as long ones. */
  private long draw(double least, double most) {
    return (long) (1e9 * least * Math.pow(most / least, random.nextDouble()));
  }

  private void save(long itsCost) {
    cost = itsCost;
    run.save();
  }

  /** Not due until so much time has passed, and due then. */
  private void assertDueAfter(long nanos) {
    long begun = now;
    for (long passed : new long[] {0, 1, nanos / 2, nanos - 1, nanos}) {
      now = begun + passed;
      assertFalse(run.due(1 + random.nextInt(1000)), passed + " of " + nanos + " ns");
    }
    now = begun + nanos + 1;
    assertTrue(run.due(1 + random.nextInt(1000)), nanos + " ns");
  }

  @Test
  void theFirstComesAfterTenSecondsAndEachOtherAfter150TimesTheLastOnesCost() {
    begin(0);
    assertDueAfter(FIRST);
    for (int i = 0; i < checkpoints; i++) {
      save(draw(1e-3, 100));
      assertDueAfter(Math.max(FIRST, 150 * cost));
    }
  }

  /** As if a disk took 200 MB a second, of weights of four bytes each. */
  @Test
  void theFirstOfALargeStateComesAfter150TimesWhatItsBytesWillTake() {
    int weights = 5_000_000 + random.nextInt(50_000_000);
    begin(0, weights);
    long begun = now;
    long expected = 1 + (long) (1e9 / CheckpointStore.BYTES_A_SECOND * 4 * weights);
    now = begun + FIRST + 1;
    assertFalse(run.dueAtStart() && 100 * expected > FIRST);
    now = begun;
    assertDueAfter(150 * expected);
    assertTrue(run.dueAtStart());
    save(TimeUnit.MILLISECONDS.toNanos(100));
    assertDueAfter(150 * cost);
  }

  /** Of the time until the next is due; the last before the end may cost more than is left. */
  @Test
  void theyTakeLessThanAHundredthOfTheTime() {
    begin(0);
    long begun = now;
    long spent = 0;
    int step = 0;
    for (int i = 0; i < checkpoints; i++) {
      long slowest = draw(0.05, 20);
      do {
        now += 1 + (long) (slowest * random.nextDouble());
        step++;
      } while (!(random.nextInt(3) == 0 && run.dueAtStart()) && !run.due(step));
      assertTrue(
          100 * spent < now - begun, "%d of %d ns, checkpoint %d".formatted(spent, now - begun, i));
      save(draw(1e-3, 100));
      spent += cost;
    }
  }

  /** They come earlier then, unless all have cost too much. */
  @Test
  void whereAnEpochBeginsTheTimeOfAllDecides() {
    begin(0);
    long begun = now;
    now += TimeUnit.SECONDS.toNanos(3000);
    save(TimeUnit.SECONDS.toNanos(1));
    now += TimeUnit.SECONDS.toNanos(20);
    assertFalse(run.due(1));
    assertTrue(run.dueAtStart());
    long spent = cost;
    for (int i = 0; i < checkpoints; i++) {
      save(draw(0.1, 10));
      spent += cost;
      long last = now;
      now += draw(1, 3000);
      boolean affordable = now - begun > 100 * (spent + cost) && now - last > FIRST;
      assertEquals(affordable, run.dueAtStart(), "%d ns, %d spent".formatted(now - begun, spent));
    }
  }

  @Test
  void thoseByStepsComeInAddition() {
    // So many steps mostly take longer than the wait for one by time.
    int every = 6 + random.nextInt(5);
    begin(every);
    int byTime = 0;
    long last = now;
    long wait = FIRST;
    for (int step = 1; step <= 15 * every; step++) {
      now += draw(0.1, 20);
      boolean late = now - last > wait;
      assertEquals(step % every == 0 || late, run.due(step), "step " + step + " of " + every);
      assertTrue(run.dueAtStart(), "where steps are given, each epoch has one");
      if (run.due(step)) {
        byTime += step % every == 0 ? 0 : 1;
        save(draw(1e-3, 0.1));
        last = now;
        wait = Math.max(FIRST, 150 * cost);
      }
    }
    assertTrue(byTime > 0, "checkpoints by time among those of every " + every + " steps");
  }
}
