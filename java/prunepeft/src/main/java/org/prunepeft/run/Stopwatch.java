package org.prunepeft.run;

import org.prunepeft.torch.StateExchange;

/** Seconds of work that may be cut off and go on: what it took before is counted too. */
final class Stopwatch {
  private double before;
  private long since;
  private boolean running;

  /** {@return the seconds since a value of {@link System#nanoTime}} */
  static double seconds(long startNanos) {
    return (System.nanoTime() - startNanos) / 1e9;
  }

  void begin() {
    since = System.nanoTime();
    running = true;
  }

  /** {@return all seconds so far, now that the work is over} */
  double end() {
    before = seconds();
    running = false;
    return before;
  }

  private double seconds() {
    return running ? before + seconds(since) : before;
  }

  /** Gives the seconds to a checkpoint, or takes them from one. */
  void exchange(StateExchange state) {
    before = state.number("seconds", seconds());
    if (running) {
      since = System.nanoTime();
    }
  }
}
