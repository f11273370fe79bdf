package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.Growth.Meter;
import org.prunepeft.testing.Growth.Shape;
import org.prunepeft.testing.Growth.Taken;

/** What grows as the square of its file is found, and other work of the machine is no growth. */
class GrowthTest {
  private static final int MOST = 40_000;

  private static Shape shape() {
    return new Shape("a file", MOST, byte[]::new, file -> {});
  }

  private static String failure(Meter meter) {
    return assertThrows(AssertionError.class, () -> Growth.check(shape(), 600, meter)).getMessage();
  }

  private static void passes(Meter meter) {
    assertDoesNotThrow(() -> Growth.check(shape(), 600, meter));
  }

  /** Of a file's length the seconds, and as many bytes as it has. */
  private static Meter seconds(IntToDoubleFunction seconds) {
    return (reader, file) ->
        new Taken((long) (1e9 * seconds.applyAsDouble(file.length)), file.length);
  }

  /** Other work makes two of three readings up to nine times as long. */
  private static Meter disturbed(long seed, Meter meter) {
    Random random = new Random(seed);
    return (reader, file) -> {
      Taken taken = meter.read(reader, file);
      double times = random.nextInt(3) == 0 ? 1 : 1 + 8 * random.nextDouble();
      return new Taken((long) (taken.nanoseconds() * times), taken.bytes());
    };
  }

  private static double part(int length) {
    return (double) length / MOST;
  }

  @Test
  void squaresAreFound() {
    String said = failure(seconds(length -> part(length) * part(length)));
    assertTrue(said.contains("its time grows faster"), said);
  }

  /** By the least of three readings, where the first of the middle file took longer. */
  @Test
  void aDisturbedReadingHidesNoSquare() {
    int[] readings = {0};
    Meter meter =
        seconds(
            length -> {
              boolean disturbed = length == MOST / 2 && readings[0]++ == 0;
              return (disturbed ? 1.6 : 1) * part(length) * part(length);
            });
    String said = failure(meter);
    assertTrue(said.contains("its time grows faster"), said);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 2, 3, 4, 5, 6, 7})
  void otherWorkIsNoGrowth(long seed) {
    passes(disturbed(seed, seconds(length -> 0.5 * part(length))));
  }

  /** The smaller files fit in a cache, the largest takes 2.1 times as long a byte. */
  @Test
  void aCacheIsNoGrowth() {
    passes(seconds(length -> (length == MOST ? 1.05 : 0.5) * part(length)));
    passes(seconds(length -> (length == MOST / 4 ? 0.5 : 1.05) * part(length)));
  }

  @Test
  void memoryIsMeasured() {
    long much = 1_000_000_000;
    String said =
        failure(
            (reader, file) -> new Taken(1, (long) (much * part(file.length) * part(file.length))));
    assertTrue(said.contains("its memory grows faster"), said);
    said = failure((reader, file) -> new Taken(1, 800L * file.length));
    assertTrue(said.contains("it takes too much memory"), said);
    said = failure(seconds(length -> 61));
    assertTrue(said.contains("it takes too long"), said);
  }

  /** By the thread's own clock. */
  @Test
  void theClockIsRead() {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    Shape square =
        new Shape(
            "a square",
            MOST,
            byte[]::new,
            file -> {
              long begun = threads.getCurrentThreadCpuTime();
              double seconds = 0.35 * part(file.length) * part(file.length);
              while (threads.getCurrentThreadCpuTime() - begun < 1e9 * seconds) {
                Thread.onSpinWait();
              }
            });
    String said = assertThrows(AssertionError.class, () -> Growth.check(square)).getMessage();
    assertTrue(said.contains("its time grows faster"), said);
  }
}
