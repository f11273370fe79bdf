package org.prunepeft.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.prunepeft.RunContents;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.report.ProgressListener;

/**
 * Keeps a page in a directory up to date while its run or study goes on, on a thread of its own.
 * Who looks at it disturbs nothing: it is a file, which loads itself anew. To be closed after the
 * work, when the page is written for the last time.
 */
final class PageWatch implements ProgressListener, AutoCloseable {
  static final String PAGE = "report.html";

  private static final int SECONDS = 5;

  /** Makes the pages. */
  @FunctionalInterface
  interface Source {
    /**
     * {@return the page as it is now}
     *
     * @param refresh seconds after which it loads itself anew; 0: the work is over
     */
    String page(Path directory, int refresh) throws IOException;
  }

  private final Source source;
  private final int seconds;
  private final ProgressListener display;
  private final PrintWriter err;
  private final CountDownLatch over = new CountDownLatch(1);
  private Thread thread;
  private boolean failed;

  /**
   * Of a run.
   *
   * @param display receives the page's location, once it is there
   * @param err receives why it can't be written
   */
  PageWatch(ProgressListener display, PrintWriter err) {
    this(PageWatch::ofRun, SECONDS, display, err);
  }

  /**
   * Of whatever the source draws.
   *
   * @param seconds from one page to the next
   * @param display receives the page's location, once it is there
   * @param err receives why it can't be written
   */
  PageWatch(Source source, int seconds, ProgressListener display, PrintWriter err) {
    this.source = source;
    this.seconds = seconds;
    this.display = display;
    this.err = err;
  }

  private static String ofRun(Path directory, int refresh) {
    ReportData data = new ReportData(List.of(RunContents.of(directory)));
    Map<String, Object> map = data.toMap(run -> Map.of(), ReportData.MOST_IN_PAGE);
    return ReportPage.of(data.title(), data.table().text(Table.Format.MD), map, refresh);
  }

  @Override
  public void directory(Path directory) {
    write(directory, true);
    if (!failed) {
      display.message("watch it at " + directory.resolve(PAGE).toUri());
    }
    thread = new Thread(() -> follow(directory), "report");
    thread.setDaemon(true);
    thread.start();
  }

  private void follow(Path directory) {
    boolean goesOn = true;
    while (goesOn) {
      try {
        goesOn = !over.await(seconds, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        return;
      }
      write(directory, goesOn);
    }
  }

  private void write(Path directory, boolean goesOn) {
    try {
      String page = source.page(directory, goesOn ? seconds : 0);
      Path file = OwnFiles.require(directory, directory.resolve(PAGE));
      Outputs.write(file, writer -> writer.write(page));
    } catch (IOException | RuntimeException e) {
      // A page is no reason to end a run; the next may be written.
      if (!failed) {
        err.println("prunepeft: " + e.getMessage());
        err.flush();
      }
      failed = true;
    }
  }

  @Override
  public void close() {
    over.countDown();
    if (thread == null) {
      return;
    }
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
