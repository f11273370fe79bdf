package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Set;
import java.util.WeakHashMap;

/**
 * The most memory that the process has resident during a span of time, as Linux tells it. Spans may
 * overlap, those of runs that are trained together: the kernel has one mark for all, which each
 * open span takes before it is set back.
 */
final class PeakMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  /** 5 written there sets the mark back to what is resident now. */
  private static final Path SET_BACK = Path.of("/proc/self/clear_refs");

  private static final Set<PeakMemory> OPEN = Collections.newSetFromMap(new WeakHashMap<>());

  /** The mark; what is resident now where it can't be set back. */
  private static String measured = "VmHWM:";

  private long bytes;

  private PeakMemory() {}

  /** Begins a span. */
  static PeakMemory begin() {
    synchronized (OPEN) {
      take();
      PeakMemory span = new PeakMemory();
      OPEN.add(span);
      return span;
    }
  }

  /** {@return the bytes so far; 0: the system does not tell} */
  long bytes() {
    synchronized (OPEN) {
      take();
      return bytes;
    }
  }

  /** Ends the span. */
  void end() {
    synchronized (OPEN) {
      OPEN.remove(this);
    }
  }

  private static void take() {
    if (!OPEN.isEmpty()) {
      long most = read();
      OPEN.forEach(span -> span.bytes = Math.max(span.bytes, most));
    }
    try {
      Files.writeString(SET_BACK, "5", StandardOpenOption.WRITE);
    } catch (IOException e) {
      measured = "VmRSS:";
    }
  }

  private static long read() {
    try {
      return Files.readAllLines(STATUS).stream()
          .filter(line -> line.startsWith(measured))
          .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElse(0);
    } catch (IOException e) {
      return 0;
    }
  }
}
