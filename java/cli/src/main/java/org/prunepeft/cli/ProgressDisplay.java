package org.prunepeft.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarStyle;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.RunStatus;

/**
 * Shows progress on the error stream: bars with rate and time left on a terminal, now and then a
 * line elsewhere.
 */
abstract class ProgressDisplay implements ProgressListener, AutoCloseable {
  /** Set by the launcher: whether the error stream is a terminal. */
  static final String TERMINAL = "prunepeft.terminal";

  private String command;
  private String config;

  /**
   * @param command search or train
   * @param config the options as they are in effect, as YAML, for the run's directory
   */
  static ProgressDisplay create(String command, String config) {
    ProgressDisplay display =
        Boolean.getBoolean(TERMINAL)
            ? new Bars(System::nanoTime, System.err, null)
            : new LineDisplay(System::nanoTime, System.err);
    display.command = command;
    display.config = config;
    return display;
  }

  @Override
  public void created(Path directory) {
    // Before what a run is resumed by can be seen: a signal that comes then has that said.
    Interruption.begins(command, directory);
    writeConfig(directory, config);
  }

  @Override
  public boolean cancelled() {
    return Interruption.requested();
  }

  /** Leaves the options that are in effect in a run's directory, by which it can be resumed. */
  static void writeConfig(Path directory, String config) {
    Path file = directory.resolve(RunStatus.OPTIONS);
    if (Files.exists(file)) {
      return;
    }
    try {
      Outputs.write(file, writer -> writer.write(config));
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  @Override
  public abstract void close();

  static final class Bars extends ProgressDisplay {
    private final LongSupplier clock;
    private final PrintStream lines;
    private final ProgressBarConsumer consumer;
    private ProgressBarBuilder builder;
    private ProgressBar bar;
    private Pace pace;

    /**
     * @param clock of nanoseconds
     * @param lines what is no bar
     * @param consumer takes the bars; null: the console
     */
    Bars(LongSupplier clock, PrintStream lines, ProgressBarConsumer consumer) {
      this.clock = clock;
      this.lines = lines;
      this.consumer = consumer;
    }

    @Override
    public void started(String name, String unit, long total) {
      close();
      if (total == 0) {
        lines.println(name);
        return;
      }
      Pace begun = new Pace(clock, total);
      pace = begun;
      builder =
          new ProgressBarBuilder()
              .setTaskName(String.format("%-28s", name))
              .setUnit(" " + unit, 1)
              .setInitialMax(total)
              .setStyle(ProgressBarStyle.ASCII)
              .setUpdateIntervalMillis(200)
              .setConsumer(consumer)
              .setEtaFunction(state -> begun.left());
      bar = builder.build();
    }

    @Override
    public void progress(long done, String detail) {
      if (bar != null) {
        pace.reached(done);
        bar.stepTo(done);
        bar.setExtraMessage(joined(pace.rate().orElse(""), detail));
      }
    }

    /** The bar goes on below the line. */
    @Override
    public void message(String line) {
      ProgressBar before = bar;
      close();
      lines.println(line);
      if (before != null && before.getCurrent() < before.getMax()) {
        bar = builder.startsFrom(before.getCurrent(), before.getTotalElapsed()).build();
        bar.setExtraMessage(before.getExtraMessage());
      }
    }

    @Override
    public void close() {
      if (bar != null) {
        bar.close();
        bar = null;
      }
    }
  }

  /** What there is of these, with commas. */
  private static String joined(String... parts) {
    return Stream.of(parts).filter(part -> !part.isEmpty()).collect(Collectors.joining(", "));
  }

  static final class LineDisplay extends ProgressDisplay {
    private static final long INTERVAL = Duration.ofSeconds(10).toNanos();

    private final LongSupplier clock;
    private final PrintStream lines;
    private String name;
    private String unit;
    private long total;
    private long shown;
    private Pace pace;

    /**
     * @param clock of nanoseconds
     */
    LineDisplay(LongSupplier clock, PrintStream lines) {
      this.clock = clock;
      this.lines = lines;
    }

    @Override
    public void started(String what, String counted, long of) {
      name = what;
      unit = counted;
      total = of;
      pace = new Pace(clock, of);
      shown = clock.getAsLong();
      // Units are in the plural.
      String each = of == 1 ? counted.replaceFirst("s$", "") : counted;
      lines.println(of == 0 ? what : what + ": " + of + " " + each);
    }

    @Override
    public void progress(long done, String detail) {
      if (total == 0 || done == 0) {
        return;
      }
      pace.reached(done);
      long now = clock.getAsLong();
      if (now - shown < INTERVAL) {
        return;
      }
      shown = now;
      lines.println(
          joined(
              "%s: %d of %d %s".formatted(name, done, total, unit),
              pace.rate().orElse(""),
              pace.left().map(time -> Pace.text(time) + " left").orElse(""),
              detail));
    }

    @Override
    public void message(String line) {
      lines.println(line);
    }

    @Override
    public void close() {
      lines.flush();
    }
  }
}
