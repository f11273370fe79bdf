package org.prunepeft.train.loop;

import java.util.concurrent.CancellationException;
import org.prunepeft.train.pass.BatchedWork;

/**
 * How checkpoints keep work of many batches: what is done of it is a part of them from its
 * beginning on.
 *
 * @param checkpoints of the run whose work it is
 * @param part the name in these
 */
public record KeptWork(Checkpoints checkpoints, String part) {
  /** Work that is done anew where a run goes on. */
  public static final KeptWork NONE = new KeptWork(Checkpoints.NONE, "");

  /** {@return the same for further work that belongs to it} */
  KeptWork and(String further) {
    return new KeptWork(checkpoints, part + " " + further);
  }

  /**
   * Does the work, or what the checkpoint that is resumed lacks of it.
   *
   * @param progress is told after each batch; where it cancels the work, a checkpoint is written
   */
  void run(BatchedWork work, Runnable progress) {
    checkpoints.add(part, work::exchange);
    if (checkpoints.dueAtStart()) {
      checkpoints.save();
    }
    while (work.next()) {
      try {
        progress.run();
      } catch (CancellationException e) {
        checkpoints.save();
        throw e;
      }
      if (checkpoints.due(work.batches())) {
        checkpoints.save();
      }
    }
  }
}
