package org.prunepeft.files;

import java.lang.ref.WeakReference;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Renews the marks of runs that go on, so that other machines see that they do. */
final class Renewal {
  /** Of its thread. */
  static final String NAME = "run renewal";

  private static final long EACH_SECONDS = 60;

  private static final ScheduledExecutorService THREAD = executor();

  private Renewal() {}

  /** Its thread ends when no run goes on, and has nothing of who begins the first. */
  private static ScheduledExecutorService executor() {
    ScheduledThreadPoolExecutor executor = new ScheduledThreadPoolExecutor(1, Renewal::thread);
    executor.setKeepAliveTime(1, TimeUnit.SECONDS);
    executor.allowCoreThreadTimeOut(true);
    return executor;
  }

  private static Thread thread(Runnable work) {
    Thread thread = new Thread(null, work, NAME, 0, false);
    thread.setContextClassLoader(Renewal.class.getClassLoader());
    thread.setDaemon(true);
    return thread;
  }

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
