package org.prunepeft.fuzz;

import static org.junit.jupiter.api.Assertions.assertNull;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.util.Set;
import java.util.function.Consumer;
import org.prunepeft.data.DataException;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.RunDirectoryException;

/** What holds for each reader and each file: a value or an error for the user, within bounds. */
final class Reading {
  /** Exceptions that are for the user, these classes alone and not those derived from them. */
  private static final Set<Class<?>> FOR_THE_USER =
      Set.of(
          DataException.class,
          FormatException.class,
          RunDirectoryException.class,
          IllegalArgumentException.class);

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** Beyond what buffers and libraries take for any file. */
  private static final long BYTES = 300_000_000;

  private static final long BYTES_PER_BYTE = 5000;
  private static final long NANOSECONDS = 10_000_000_000L;

  /** Hears how each reading ends: by which error for the user, or null. */
  static Consumer<Throwable> ending = refusal -> {};

  /** Reads a file. */
  interface Reader {
    void read() throws IOException;
  }

  private Reading() {}

  /**
   * Reads, and checks what becomes of it.
   *
   * @param length of the file in bytes
   * @return whether it was read; false: refused, by an error for the user
   * @throws AssertionError if an exception is not for the user, or has no message; or if the thread
   *     takes 10 s of processor time, or allocates more than 300 MB and 5 kB a byte
   */
  static boolean check(int length, Reader reader) {
    Outcome first = outcome(length, reader);
    if (first.excess() == null) {
      return first.read();
    }
    // The first time classes are loaded, and instrumented.
    Outcome second = outcome(length, reader);
    assertNull(second.excess(), second.excess());
    return second.read();
  }

  /**
   * @param excess what it took, if that is more than it may; else null
   */
  private record Outcome(boolean read, String excess) {}

  private static Outcome outcome(int length, Reader reader) {
    long bytes = THREADS.getCurrentThreadAllocatedBytes();
    long time = THREADS.getCurrentThreadCpuTime();
    boolean read = false;
    try {
      reader.read();
      read = true;
      ending.accept(null);
    } catch (IOException | RuntimeException e) {
      requireForTheUser(e);
      ending.accept(e);
    }
    long taken = THREADS.getCurrentThreadCpuTime() - time;
    long allocated = THREADS.getCurrentThreadAllocatedBytes() - bytes;
    boolean exceeds = taken > NANOSECONDS || allocated > BYTES + BYTES_PER_BYTE * length;
    return new Outcome(
        read,
        exceeds
            ? "took %.1f s and %,d bytes for %,d".formatted(taken / 1e9, allocated, length)
            : null);
  }

  private static void requireForTheUser(Exception e) {
    boolean json = e instanceof JsonProcessingException;
    boolean io = e instanceof UncheckedIOException || e.getClass() == IOException.class;
    if (!json && !io && !FOR_THE_USER.contains(e.getClass())) {
      throw new AssertionError("not for the user: " + e, e);
    }
    if (e.getMessage() == null || e.getMessage().isBlank()) {
      throw new AssertionError("says nothing: " + e, e);
    }
  }
}
