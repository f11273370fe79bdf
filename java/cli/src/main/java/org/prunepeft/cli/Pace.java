package org.prunepeft.cli;

import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * How fast a piece of work goes, and how long it still takes at that rate.
 *
 * <p>Work that goes on after a resume, or that of another run, begins with what was done before: a
 * piece whose first report is of more than one unit is timed from that report on. Good for several
 * threads at once: bars are drawn by one of their own.
 */
final class Pace {
  private static final double NANOS = 1e9;

  private final LongSupplier clock;
  private final long total;

  private long begun;
  private long before;
  private long done;

  /** When the last report came. */
  private long last;

  /**
   * @param clock of nanoseconds, as System.nanoTime
   * @param total units of the piece that begins now
   */
  Pace(LongSupplier clock, long total) {
    this.clock = clock;
    this.total = total;
    begun = clock.getAsLong();
    last = begun;
  }

  /** So many units are done now. */
  synchronized void reached(long units) {
    last = clock.getAsLong();
    if (done == 0 && units > 1) {
      begun = last;
      before = units;
    }
    done = units;
  }

  /** Units a second; 0: not known yet. */
  private double perSecond() {
    return last == begun ? 0 : NANOS * (done - before) / (last - begun);
  }

  /** {@return units in a time, such as 1.5 a second; empty: not known yet} */
  synchronized Optional<String> rate() {
    double rate = perSecond();
    if (rate == 0) {
      return Optional.empty();
    }
    String[] times = {"a second", "a minute", "an hour"};
    int time = 0;
    while (time < times.length - 1 && rate < 0.1) {
      rate *= 60;
      time++;
    }
    return Optional.of(String.format(Locale.ROOT, "%.1f %s", rate, times[time]));
  }

  /** {@return how long the rest takes; empty: not known yet} */
  synchronized Optional<Duration> left() {
    double rate = perSecond();
    return rate == 0
        ? Optional.empty()
        : Optional.of(Duration.ofNanos(Math.round(NANOS * (total - done) / rate)));
  }

  /**
   * {@return a time in whole seconds up to two minutes, then minutes up to two hours, then hours}
   */
  static String text(Duration time) {
    long seconds = Math.round(time.toNanos() / NANOS);
    if (seconds < 120) {
      return seconds + " s";
    }
    long minutes = Math.round(seconds / 60.0);
    return minutes < 120 ? minutes + " min" : "%d h %d min".formatted(minutes / 60, minutes % 60);
  }
}
