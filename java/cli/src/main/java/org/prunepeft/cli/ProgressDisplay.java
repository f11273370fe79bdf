package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
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
    ProgressDisplay display = Boolean.getBoolean(TERMINAL) ? new Bars() : new LineDisplay();
    display.command = command;
    display.config = config;
    return display;
  }

  @Override
  public void created(Path directory) {
    writeConfig(directory, config);
    Interruption.begins(command, directory);
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

  private static final class Bars extends ProgressDisplay {
    private ProgressBarBuilder builder;
    private ProgressBar bar;

    @Override
    public void started(String name, String unit, long total) {
      close();
      if (total == 0) {
        System.err.println(name);
        return;
      }
      builder =
          new ProgressBarBuilder()
              .setTaskName(String.format("%-28s", name))
              .setUnit(" " + unit, 1)
              .setInitialMax(total)
              .setStyle(ProgressBarStyle.ASCII)
              .setUpdateIntervalMillis(200)
              .showSpeed();
      bar = builder.build();
    }

    @Override
    public void progress(long done, String detail) {
      if (bar != null) {
        bar.stepTo(done);
        bar.setExtraMessage(detail);
      }
    }

    /** The bar goes on below the line. */
    @Override
    public void message(String line) {
      ProgressBar before = bar;
      close();
      System.err.println(line);
      if (before != null && before.getCurrent() < before.getMax()) {
        bar = builder.startsFrom(before.getCurrent(), before.getTotalElapsed()).build();
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

  private static final class LineDisplay extends ProgressDisplay {
    private static final long INTERVAL = Duration.ofSeconds(10).toNanos();

    private String name;
    private String unit;
    private long total;
    private long begun;
    private long shown;

    @Override
    public void started(String what, String counted, long of) {
      name = what;
      unit = counted;
      total = of;
      begun = System.nanoTime();
      shown = begun;
      System.err.println(of == 0 ? what : what + ": " + of + " " + counted);
    }

    @Override
    public void progress(long done, String detail) {
      long now = System.nanoTime();
      if (now - shown < INTERVAL || done == 0) {
        return;
      }
      shown = now;
      double rate = done / ((now - begun) / 1e9);
      boolean slow = rate < 0.1;
      System.err.printf(
          "%s: %d of %d %s, %.1f a %s, %.0f s left %s%n",
          name,
          done,
          total,
          unit,
          slow ? 60 * rate : rate,
          slow ? "minute" : "second",
          (total - done) / rate,
          detail);
    }

    @Override
    public void message(String line) {
      System.err.println(line);
    }

    @Override
    public void close() {
      System.err.flush();
    }
  }
}
