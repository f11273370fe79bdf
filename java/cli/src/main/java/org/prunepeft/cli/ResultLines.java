package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.report.RunStatus;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Reason;

/** What a run prints at its end. */
final class ResultLines {
  /** Bytes of a summary. */
  private static final int MOST = 1 << 26;

  private ResultLines() {}

  static void print(Setup setup, SearchOutcome outcome) {
    print(setup);
    print(outcome.retrained());
    System.out.printf(
        Locale.ROOT,
        "search %.1f s, retraining %.1f s: ratio %.2f%n",
        outcome.searchSeconds(),
        outcome.retrained().trainingSeconds(),
        outcome.costRatio());
  }

  static void print(Setup setup, TrainOutcome outcome) {
    print(setup);
    print(outcome);
    System.out.printf(Locale.ROOT, "training %.1f s%n", outcome.trainingSeconds());
  }

  /** The summary in the run's directory. */
  static void print(Setup setup) {
    Path summary = setup.output().resolve(RunStatus.SUMMARY);
    try {
      System.out.println(BoundedFile.text(BoundedFile.regular(summary), MOST));
    } catch (IOException e) {
      throw new UncheckedIOException(
          "can't read %s: %s".formatted(summary, Reason.of(summary, e)), e);
    }
    System.out.println("run directory: " + setup.output());
  }

  private static void print(TrainOutcome outcome) {
    System.out.println("test " + outcome.test().primaryText());
    System.out.println(outcome.parametersText());
  }
}
