package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Set;
import java.util.WeakHashMap;
import org.prunepeft.torch.HostMemory;

/**
 * The most memory that the process has resident during a span of time, as Linux tells it. Spans may
 * overlap, those of runs that are trained together: the kernel has one mark for all, which each
 * open span takes before it is set back.
 */
final class PeakMemory {
  private static final HostMemory HOST = new HostMemory();

  /** 5 written there sets the mark back to what is resident now. */
  private static final Path SET_BACK = Path.of("/proc/self/clear_refs");

  private static final Set<PeakMemory> OPEN = Collections.newSetFromMap(new WeakHashMap<>());

  /** Else it can't be set back, and what is resident now stands in for it. */
  private static boolean marks = true;

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
      marks = false;
    }
  }

  private static long read() {
    return (marks ? HOST.peak() : HOST.resident()).orElse(0);
  }
}
