package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Trains the runs that share an encoder in step: each step of theirs is one batch through it. Each
 * run has a thread of its own, and the threads take turns: one goes on at a time, until it asks for
 * a training. When all that are left have asked for one, these are trained together, {@link
 * Trainer#train(List)}, and the turns go on.
 */
public final class TrainingsInStep {
  private final ReentrantLock turn = new ReentrantLock(true);
  private final Condition changed = turn.newCondition();
  private final List<Waiting> waiting = new ArrayList<>();
  private int runs;

  /** A run whose thread waits; the outcome is there when it has been trained. */
  private static final class Waiting {
    final Trainer.Request request;
    Trainer.Outcome outcome;

    Waiting(Trainer.Request request) {
      this.request = request;
    }
  }

  /**
   * @param runs how many threads will {@link #join}, one or more
   */
  public TrainingsInStep(int runs) {
    this.runs = runs;
  }

  /** The calling thread waits for its turn. Once for each run, and {@link #leave} afterwards. */
  public void join() {
    turn.lock();
  }

  /** The calling thread ends its turn, and asks for no training any more. */
  public void leave() {
    runs--;
    changed.signalAll();
    turn.unlock();
  }

  /**
   * Ends the calling thread's turn until its training is done.
   *
   * @param trainer of the calling thread; all have the same encoder and settings
   */
  Trainer.Outcome train(Trainer trainer, Trainer.Request request) {
    Waiting own = new Waiting(request);
    waiting.add(own);
    while (own.outcome == null) {
      if (waiting.size() == runs) {
        trainAll(trainer);
      } else {
        changed.awaitUninterruptibly();
      }
    }
    return own.outcome;
  }

  private void trainAll(Trainer trainer) {
    List<Waiting> all = List.copyOf(waiting);
    waiting.clear();
    try {
      List<Trainer.Outcome> outcomes = trainer.train(all.stream().map(one -> one.request).toList());
      for (int i = 0; i < all.size(); i++) {
        all.get(i).outcome = outcomes.get(i);
      }
    } catch (RuntimeException e) {
      all.forEach(one -> one.outcome = new Trainer.Outcome(null, e));
    } catch (Error e) {
      // The others have to hear of it too.
      RuntimeException failure = new IllegalStateException("a training together failed: " + e, e);
      all.forEach(one -> one.outcome = new Trainer.Outcome(null, failure));
      throw e;
    } finally {
      changed.signalAll();
    }
  }
}
