package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.prunepeft.report.ProgressListener;

/**
 * One display for runs that go on together: what is counted is that of the first seed that has not
 * ended, and each line names its seed.
 */
final class SharedDisplay {
  private final ProgressDisplay display;
  private final List<Long> going;

  /** Whose work the display counts. */
  private Voice shown;

  SharedDisplay(ProgressDisplay display, List<Long> seeds) {
    this.display = display;
    going = new ArrayList<>(seeds);
  }

  /**
   * Follows one of the runs.
   *
   * @param config its options as they are in effect, as YAML, for its directory
   */
  ProgressListener of(long seed, String config) {
    return new Voice(seed, config);
  }

  /** A run is over. */
  void ended(long seed) {
    going.remove(seed);
  }

  private final class Voice implements ProgressListener {
    private final long seed;
    private final String config;
    private String name;
    private String unit;
    private long total;

    Voice(long seed, String config) {
      this.seed = seed;
      this.config = config;
    }

    private boolean leads() {
      return going.get(0) == seed;
    }

    private void show() {
      shown = this;
      String others = going.size() == 1 ? "" : " and %d more".formatted(going.size() - 1);
      display.started("%s (seed %d%s)".formatted(name, seed, others), unit, total);
    }

    @Override
    public void created(Path directory) {
      ProgressDisplay.writeConfig(directory, config);
    }

    @Override
    public void started(String what, String counted, long of) {
      name = what;
      unit = counted;
      total = of;
      if (leads()) {
        show();
      }
    }

    @Override
    public void progress(long done, String detail) {
      if (!leads()) {
        return;
      }
      if (shown != this) {
        show();
      }
      display.progress(done, detail);
    }

    @Override
    public void message(String line) {
      display.message("seed %d: %s".formatted(seed, line));
    }

    @Override
    public boolean cancelled() {
      return display.cancelled();
    }
  }
}
