package org.prunepeft.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.prunepeft.RunContents;
import org.prunepeft.report.ProgressListener;

/**
 * Keeps a page of a run in its directory up to date while the run goes on, on a thread of its own.
 * Who looks at it disturbs nothing: it is a file, which loads itself anew. To be closed after the
 * run, when the page is written for the last time.
 */
final class PageWatch implements ProgressListener, AutoCloseable {
  static final String PAGE = "report.html";

  private static final int SECONDS = 5;

  private final ProgressListener display;
  private final PrintWriter err;
  private final CountDownLatch over = new CountDownLatch(1);
  private Thread thread;
  private boolean failed;

  /**
   * @param display receives the page's location, once it is there
   * @param err receives why it can't be written
   */
  PageWatch(ProgressListener display, PrintWriter err) {
    this.display = display;
    this.err = err;
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
        goesOn = !over.await(SECONDS, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        return;
      }
      write(directory, goesOn);
    }
  }

  private void write(Path directory, boolean goesOn) {
    try {
      ReportData data = new ReportData(List.of(RunContents.of(directory)));
      Map<String, Object> map = data.toMap(run -> Map.of(), ReportData.MOST_IN_PAGE);
      String page =
          ReportPage.of(
              data.title(), data.table().text(Table.Format.MD), map, goesOn ? SECONDS : 0);
      Outputs.write(directory.resolve(PAGE), writer -> writer.write(page));
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
