package org.prunepeft.torch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import javax.management.JMException;
import javax.management.ObjectName;

/**
 * How what a process holds in memory grows over a loop. Counted are its own pages outside Java's
 * heap, in memory or swapped out, and what is in use of the heap. Not counted are pages of files,
 * such as libraries, which come and go with the machine's memory, and the free part of the heap,
 * which the collector makes larger where it is short of time.
 *
 * <p>The allocator gives memory back in steps of many megabytes, and the compilers of the virtual
 * machine take some when they come to it. So the lowest levels of the loop's quarters are compared,
 * and of the steps between them the smallest counts: what is kept at every step is in all of them.
 */
public final class ResidentSize {
  private static final int QUARTERS = 4;
  private static final int SAMPLES = 4 * QUARTERS;
  private static final Pattern MAPPING = Pattern.compile("(\\p{XDigit}+)-\\p{XDigit}+ .*");
  private static final Pattern OWN_PAGES = Pattern.compile("(?:Anonymous|Swap): +(\\d+) kB");
  private static final Pattern ADDRESS = Pattern.compile("0x(\\p{XDigit}+)");

  private final int steps;
  private final long[] lowest = new long[QUARTERS];

  /**
   * @param steps how many the loop has, a multiple of 16
   */
  public ResidentSize(int steps) {
    this.steps = steps;
    Arrays.fill(lowest, Long.MAX_VALUE);
  }

  /** To be called after each step, 0-based. */
  public void after(int step) {
    int interval = steps / SAMPLES;
    if (step % interval != interval - 1) {
      return;
    }
    System.gc();
    int quarter = step / (steps / QUARTERS);
    lowest[quarter] = Math.min(lowest[quarter], bytes());
  }

  /** Bytes by which the level rises over half of the loop. */
  public long growth() {
    long smallest = Long.MAX_VALUE;
    for (int i = 1; i < QUARTERS; i++) {
      smallest = Math.min(smallest, lowest[i] - lowest[i - 1]);
    }
    return smallest * QUARTERS / 2;
  }

  /** Bytes that are held now. */
  public static long bytes() {
    long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    try {
      return heap + outside(heap());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (JMException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Bytes of the process's own pages that are not in a range of addresses. */
  private static long outside(long[] range) throws IOException {
    long kilobytes = 0;
    boolean counted = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      Matcher mapping = MAPPING.matcher(line);
      Matcher pages = OWN_PAGES.matcher(line);
      if (mapping.matches()) {
        long start = Long.parseUnsignedLong(mapping.group(1), 16);
        counted = start < range[0] || start >= range[1];
      } else if (counted && pages.matches()) {
        kilobytes += Long.parseLong(pages.group(1));
      }
    }
    return kilobytes * 1024;
  }

  /** The addresses of Java's heap, from and to, as every collector reports them. */
  private static long[] heap() throws JMException {
    String info =
        (String)
            ManagementFactory.getPlatformMBeanServer()
                .invoke(
                    new ObjectName("com.sun.management:type=DiagnosticCommand"),
                    "gcHeapInfo",
                    null,
                    null);
    LongStream addresses =
        ADDRESS
            .matcher(info)
            .results()
            .mapToLong(found -> Long.parseUnsignedLong(found.group(1), 16));
    var range = addresses.summaryStatistics();
    return new long[] {range.getMin(), range.getMax()};
  }
}
