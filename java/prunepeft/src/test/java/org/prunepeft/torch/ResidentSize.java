package org.prunepeft.torch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * How the process's resident size grows over a loop. The allocator and the collector give memory
 * back in steps of many megabytes, so the lowest levels of both halves are compared.
 */
public final class ResidentSize {
  private static final int SAMPLES = 16;
  private static final long PAGE = 4096;

  private final int steps;
  private long early = Long.MAX_VALUE;
  private long late = Long.MAX_VALUE;

  /**
   * @param steps how many the loop has; the first sixteenth warms up
   */
  public ResidentSize(int steps) {
    this.steps = steps;
  }

  /** To be called after each step, 0-based. */
  public void after(int step) {
    int interval = steps / SAMPLES;
    if (step % interval != interval - 1) {
      return;
    }
    System.gc();
    if (step < steps / 2) {
      early = Math.min(early, bytes());
    } else {
      late = Math.min(late, bytes());
    }
  }

  /** Bytes by which the lowest level rose from the first half to the second. */
  public long growth() {
    return late - early;
  }

  private static long bytes() {
    try {
      return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * PAGE;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
