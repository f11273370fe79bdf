package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.Locale;
import org.prunepeft.report.RunStatus;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.settings.Setup;

/** What a run prints at its end. */
final class ResultLines {
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
    try {
      System.out.println(Files.readString(setup.output().resolve(RunStatus.SUMMARY)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    System.out.println("run directory: " + setup.output());
  }

  private static void print(TrainOutcome outcome) {
    System.out.println("test " + outcome.test().primaryText());
    System.out.println(outcome.parametersText());
  }
}
