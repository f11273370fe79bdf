package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.prunepeft.io.Unfinished;
import org.prunepeft.report.RunStatus;
import org.prunepeft.text.ShellWords;

/**
 * What SIGTERM and Ctrl-C do to a run: it is cancelled, writes a checkpoint, and the command says
 * in a line how it goes on. The JVM then ends with 143 or 130.
 */
final class Interruption {
  /** Less than the 10 seconds that those who send SIGTERM wait before they kill. */
  private static final long MOST_SECONDS = 8;

  /** The exit code of what SIGTERM ends. */
  static final int TERMINATED = 143;

  private static final CountDownLatch ENDED = new CountDownLatch(1);
  private static volatile boolean requested;
  private static volatile boolean abandoned;
  private static volatile Path run;

  /** What is said of what was interrupted; null: nothing that can go on. */
  private static volatile Supplier<String> said;

  private Interruption() {}

  /** Has a shut-down wait for the run. */
  static void install() {
    Runtime.getRuntime().addShutdownHook(new Thread(Interruption::shutDown, "interruption"));
  }

  /** The command is over; the JVM ends because of that. */
  static void ended() {
    ENDED.countDown();
  }

  /** A run that can be resumed begins. */
  static void begins(String itsCommand, Path directory) {
    if (run != null && run.toAbsolutePath().equals(directory.toAbsolutePath().getParent())) {
      // One of several seeds, which are resumed together.
      return;
    }
    run = directory;
    begins(
        () ->
            RunStatus.of(directory) == RunStatus.COMPLETE
                ? "interrupted when the run in %s was complete".formatted(directory)
                : "interrupted; go on with: prunepeft %s --resume %s%s"
                    .formatted(
                        itsCommand,
                        ShellWords.quoted(directory.toString()),
                        PluginOptions.again()));
  }

  /**
   * Something that can go on begins.
   *
   * @param how says how
   */
  static void begins(Supplier<String> how) {
    said = how;
  }

  /** Whether the process is to end. */
  static boolean requested() {
    return requested;
  }

  /** Whether the process ends and its work is given up: that this fails then is no news. */
  static boolean abandoned() {
    return abandoned;
  }

  private static void shutDown() {
    if (ENDED.getCount() == 0) {
      return;
    }
    if (said == null) {
      // Nothing can go on, so nothing is to be left of what is being written.
      abandoned = true;
      Unfinished.abandon().forEach(line -> System.err.println("prunepeft: " + line));
      System.err.flush();
      return;
    }
    requested = true;
    try {
      // A step may take longer; then the last checkpoint counts.
      ENDED.await(MOST_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    System.err.println("prunepeft: " + said.get());
    System.err.flush();
  }
}
