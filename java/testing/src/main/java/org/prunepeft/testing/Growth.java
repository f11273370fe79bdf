package org.prunepeft.testing;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.function.IntFunction;

/**
 * How what a reader takes grows with its file: it reads one of a shape, and one four times as
 * large.
 *
 * <p>Processor time says little of a single reading: caches, page faults, compilation and other
 * work of the machine make some take several times as long. So a growth that looks too fast is
 * looked at again, by the least of several readings of these two and of a file between them: what
 * grows as the square does so from the first to the second and from there to the third, while a
 * cache that the largest no longer fits in shows once.
 */
public final class Growth {
  private static final com.sun.management.ThreadMXBean THREADS =
      (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();

  private static final int TIMES = 4;

  /**
   * Of the larger file's bytes to the smaller's: four, room for tables that double, and Jackson's
   * table of long names, which grows by steps. Of a square it is 16.
   */
  private static final double MOST_BYTES = 8;

  /** Buffers, and what is the same for each file of a reader. */
  private static final long ANY_FILE = 4_000_000;

  /** Sound readers take up to 470. */
  private static final long BYTES_PER_BYTE = 600;

  private static final long NANOSECONDS = Reading.LONGEST.toNanos();

  /** Of the larger file's time to the smaller's; of a square it is 16. */
  private static final double MOST_TIME = 8;

  /** A shorter time says nothing. */
  private static final long NOISE = 300_000_000;

  /** Readings of each file at most. */
  private static final int ATTEMPTS = 10;

  /** At least, where one has looked too fast, and at most, where the file takes too long. */
  private static final int FEW_ATTEMPTS = 3;

  private Growth() {}

  /** Reads a file, and checks that it was read or refused by an error for the user. */
  public interface FileReader {
    /** Reads it. */
    void read(byte[] file) throws IOException;
  }

  /**
   * A kind of file, and who reads it.
   *
   * @param name of reader and kind
   * @param most parts of the larger file
   * @param file makes one of so many parts
   */
  public record Shape(String name, int most, IntFunction<byte[]> file, FileReader reader) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** {@return a text of parts in UTF-8} */
  public static byte[] text(String begin, int parts, IntFunction<String> part, String end) {
    StringBuilder text = new StringBuilder(begin);
    for (int i = 0; i < parts; i++) {
      text.append(part.apply(i));
    }
    return text.append(end).toString().getBytes(StandardCharsets.UTF_8);
  }

  /** {@return the same with commas between the parts} */
  public static byte[] list(String begin, int parts, IntFunction<String> part, String end) {
    return text(begin, parts, i -> (i == 0 ? "" : ",") + part.apply(i), end);
  }

  /** {@return one of 2^16 names that have the same hash} */
  public static String alike(int number) {
    StringBuilder name = new StringBuilder();
    for (int bit = 0; bit < 16; bit++) {
      name.append((number >>> bit & 1) == 0 ? "Aa" : "BB");
    }
    return name.toString();
  }

  /** Measures a reading. */
  interface Meter {
    /** {@return what it takes} */
    Taken read(FileReader reader, byte[] file) throws IOException;
  }

  /** What a reading takes of a processor and of the heap. */
  record Taken(long nanoseconds, long bytes) {
    private static Taken by(FileReader reader, byte[] file) throws IOException {
      long bytes = allocated();
      long time = time();
      reader.read(file);
      return new Taken(time() - time, allocated() - bytes);
    }

    private static long time() {
      return THREADS.getCurrentThreadCpuTime() + Reading.elsewhereNanoseconds();
    }

    private static long allocated() {
      return THREADS.getCurrentThreadAllocatedBytes() + Reading.elsewhereBytes();
    }

    Taken least(Taken other) {
      return new Taken(Math.min(nanoseconds, other.nanoseconds), Math.min(bytes, other.bytes));
    }
  }

  /**
   * Has a reader read two files of a shape.
   *
   * @throws AssertionError if the larger one takes more than eight times the memory of the smaller,
   *     600 bytes for each of its own, 60 s of processor time, or of more than 0.3 s eight times
   *     the smaller's
   */
  public static void check(Shape shape) throws IOException {
    check(shape, BYTES_PER_BYTE);
  }

  /**
   * The same of a file that is a program, or is read more than once.
   *
   * @param most bytes that may be allocated for each of its own
   */
  public static void check(Shape shape, long most) throws IOException {
    check(shape, most, Taken::by);
  }

  /** The same with a meter. */
  static void check(Shape shape, long most, Meter meter) throws IOException {
    byte[] small = shape.file.apply(shape.most / TIMES);
    byte[] large = shape.file.apply(shape.most);
    // Classes are loaded, and what is made once.
    shape.reader.read(small);
    Taken less = meter.read(shape.reader, small);
    Taken more = meter.read(shape.reader, large);
    String failure = failure(less, more, large.length, most);
    if (failure != null) {
      byte[] half = shape.file.apply(shape.most / 2);
      Taken between = meter.read(shape.reader, half);
      failure = failure(less, between, more, large.length, most);
      for (int i = 1; i < attempts(more) && (failure != null || i < FEW_ATTEMPTS); i++) {
        less = less.least(meter.read(shape.reader, small));
        between = between.least(meter.read(shape.reader, half));
        more = more.least(meter.read(shape.reader, large));
        failure = failure(less, between, more, large.length, most);
      }
    }
    if (Boolean.getBoolean("prunepeft.growth")) {
      System.out.printf(
          "%-60s %,10d B: %4d and %4d ms, %,13d and %,13d B, %d a byte, %.1f times%n",
          shape.name,
          large.length,
          less.nanoseconds / 1_000_000,
          more.nanoseconds / 1_000_000,
          less.bytes,
          more.bytes,
          more.bytes / large.length,
          (double) more.bytes / less.bytes);
    }
    if (failure != null) {
      throw new AssertionError(
          "%s: %s: files of %,d and %,d bytes took %.2f and %.2f s, %,d and %,d bytes"
              .formatted(
                  shape.name,
                  failure,
                  small.length,
                  large.length,
                  less.nanoseconds / 1e9,
                  more.nanoseconds / 1e9,
                  less.bytes,
                  more.bytes));
    }
  }

  private static int attempts(Taken large) {
    return large.nanoseconds > NANOSECONDS ? FEW_ATTEMPTS : ATTEMPTS;
  }

  /** What is out of proportion; null: nothing. */
  private static String failure(Taken less, Taken more, int length, long most) {
    return failure(less, null, more, length, most);
  }

  /**
   * @param between of a file of half the larger one's size; null: it has not been read
   */
  private static String failure(Taken less, Taken between, Taken more, int length, long most) {
    if (more.nanoseconds > NANOSECONDS) {
      return "it takes too long";
    }
    if (more.nanoseconds > NOISE
        && more.nanoseconds > MOST_TIME * less.nanoseconds
        && (between == null
            || growsTwice(
                less.nanoseconds, between.nanoseconds, more.nanoseconds, Math.sqrt(MOST_TIME)))) {
      return "its time grows faster than the file";
    }
    if (more.bytes > MOST_BYTES * less.bytes + ANY_FILE
        && (between == null
            || growsTwice(less.bytes, between.bytes, more.bytes, Math.sqrt(MOST_BYTES)))) {
      return "its memory grows faster than the file";
    }
    return more.bytes > most * length + ANY_FILE ? "it takes too much memory" : null;
  }

  private static boolean growsTwice(long less, long between, long more, double most) {
    return between > most * less && more > most * between;
  }
}
