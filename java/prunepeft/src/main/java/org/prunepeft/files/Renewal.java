package org.prunepeft.files;

import java.lang.ref.WeakReference;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Renews the marks of runs that go on, so that other machines see that they do. */
final class Renewal {
  private static final long EACH_SECONDS = 60;

  private static final ScheduledExecutorService THREAD =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "run renewal");
            thread.setDaemon(true);
            return thread;
          });

  private Renewal() {}

  /** Renews a run's mark until the run is over, or nobody has its directory any more. */
  static void of(RunDirectory run) {
    next(new WeakReference<>(run));
  }

  private static void next(WeakReference<RunDirectory> run) {
    THREAD.schedule(() -> renew(run), EACH_SECONDS, TimeUnit.SECONDS);
  }

  private static void renew(WeakReference<RunDirectory> reference) {
    RunDirectory run = reference.get();
    if (run != null && run.renew()) {
      next(reference);
    }
  }
}
