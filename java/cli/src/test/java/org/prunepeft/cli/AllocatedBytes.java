package org.prunepeft.cli;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** What a call takes of the heap, garbage included. */
final class AllocatedBytes {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private AllocatedBytes() {}

  /** On this thread. */
  static long of(Runnable call) {
    long before = THREADS.getCurrentThreadAllocatedBytes();
    call.run();
    return THREADS.getCurrentThreadAllocatedBytes() - before;
  }
}
