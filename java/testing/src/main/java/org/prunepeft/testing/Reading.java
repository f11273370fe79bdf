package org.prunepeft.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Set;
import java.util.function.Consumer;

/** What holds for each reader and each file: a value or an error for the user, within bounds. */
public final class Reading {
  private static final com.sun.management.ThreadMXBean THREADS =
      (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** Beyond what buffers and libraries take for any file. */
  private static final long BYTES = 300_000_000;

  private static final long BYTES_PER_BYTE = 5000;

  /** Of processor time: six times what is promised of a fast machine, since others are slower. */
  public static final Duration LONGEST = Duration.ofSeconds(60);

  /** Hears how each reading ends: by which error for the user, or null. */
  private static Consumer<Throwable> ending = refusal -> {};

  /** What readings took outside of the thread that asked for them; of all, until now. */
  private static long elsewhereNanoseconds;

  private static long elsewhereBytes;

  private final Class<?> derived;
  private final Set<Class<?>> exact;

  /**
   * Of readers whose errors are of these classes, or an {@link UncheckedIOException} or IOException
   * itself.
   *
   * @param derived an exception that is for the user, as are those derived from it
   * @param exact others that are, these classes alone and not those derived from them
   */
  public Reading(Class<? extends Exception> derived, Set<Class<?>> exact) {
    this.derived = derived;
    this.exact = Set.copyOf(exact);
  }

  /** Reads a file. */
  public interface Reader {
    /** Reads it, and refuses it by an exception. */
    void read() throws IOException;
  }

  /** Tells who listens how a reading ended: by this error for the user, or null. */
  public static void ended(Throwable refusal) {
    ending.accept(refusal);
  }

  /** From now on it hears how each reading ends: by which error for the user, or null. */
  static void listen(Consumer<Throwable> listener) {
    ending = listener;
  }

  /**
   * Counts what a reading took in a process of its own, for those who measure it by their thread.
   */
  public static void elsewhere(long nanoseconds, long bytes) {
    elsewhereNanoseconds += nanoseconds;
    elsewhereBytes += bytes;
  }

  /** {@return nanoseconds of processor time that readings took elsewhere, all together} */
  static long elsewhereNanoseconds() {
    return elsewhereNanoseconds;
  }

  /** {@return bytes that readings took elsewhere, all together} */
  static long elsewhereBytes() {
    return elsewhereBytes;
  }

  /**
   * {@return what a reading took, if that is more than it may; else null}
   *
   * @param length of the file in bytes
   * @param nanoseconds of processor time
   * @param bytes of memory
   */
  public static String excess(int length, long nanoseconds, long bytes) {
    return excess(length, 0, nanoseconds, bytes);
  }

  private static String excess(int length, long more, long nanoseconds, long bytes) {
    return nanoseconds > LONGEST.toNanos() || bytes > BYTES + more + BYTES_PER_BYTE * length
        ? "took %.1f s and %,d bytes for %,d".formatted(nanoseconds / 1e9, bytes, length)
        : null;
  }

  /**
   * Reads, and checks what becomes of it.
   *
   * @param length of the file in bytes
   * @return whether it was read; false: refused, by an error for the user
   * @throws AssertionError if an exception is not for the user, or has no message; or if the thread
   *     takes 60 s of processor time, or allocates more than 300 MB and 5 kB a byte
   */
  public boolean check(int length, Reader reader) {
    return check(length, 0, reader);
  }

  /**
   * The same of a file that is a program.
   *
   * @param more bytes that it may allocate in whole, most of which are garbage soon
   */
  public boolean check(int length, long more, Reader reader) {
    Outcome first = outcome(length, more, reader);
    if (first.excess() == null) {
      return first.read();
    }
    // The first time classes are loaded, and instrumented.
    Outcome second = outcome(length, more, reader);
    if (second.excess() != null) {
      throw new AssertionError(second.excess());
    }
    return second.read();
  }

  /**
   * @param excess what it took, if that is more than it may; else null
   */
  private record Outcome(boolean read, String excess) {}

  private Outcome outcome(int length, long more, Reader reader) {
    long bytes = THREADS.getCurrentThreadAllocatedBytes();
    long time = THREADS.getCurrentThreadCpuTime();
    boolean read = false;
    try {
      reader.read();
      read = true;
      ended(null);
    } catch (IOException | RuntimeException e) {
      requireForTheUser(e);
      ended(e);
    }
    long taken = THREADS.getCurrentThreadCpuTime() - time;
    long allocated = THREADS.getCurrentThreadAllocatedBytes() - bytes;
    return new Outcome(read, excess(length, more, taken, allocated));
  }

  private void requireForTheUser(Exception e) {
    boolean io = e instanceof UncheckedIOException || e.getClass() == IOException.class;
    if (!io && !derived.isInstance(e) && !exact.contains(e.getClass())) {
      throw new AssertionError("not for the user: " + e, e);
    }
    if (e.getMessage() == null || e.getMessage().isBlank()) {
      throw new AssertionError("says nothing: " + e, e);
    }
  }
}
