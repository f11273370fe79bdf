package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Where the trainings of several runs on one encoder meet, each run with a thread of its own. The
 * threads take turns: one goes on at a time, until it wants a training. When all that are left want
 * one, these are trained together, {@link Trainer#train(List)}, and the turns go on.
 */
public final class Meeting {
  private final ReentrantLock turn = new ReentrantLock(true);
  private final Condition changed = turn.newCondition();
  private final List<Wish> waiting = new ArrayList<>();
  private int members;

  /** A thread's wish; the outcome is there when it has been trained. */
  private static final class Wish {
    final Trainer.Request request;
    Trainer.Outcome outcome;

    Wish(Trainer.Request request) {
      this.request = request;
    }
  }

  /**
   * @param members how many threads will {@link #join}, one or more
   */
  public Meeting(int members) {
    this.members = members;
  }

  /** The calling thread waits for its turn. Once for each member, and {@link #leave} afterwards. */
  public void join() {
    turn.lock();
  }

  /** The calling thread ends its turn, and wants no training any more. */
  public void leave() {
    members--;
    changed.signalAll();
    turn.unlock();
  }

  /**
   * Ends the calling thread's turn until its training is done.
   *
   * @param trainer of the calling thread; all have the same encoder and settings
   */
  Trainer.Outcome train(Trainer trainer, Trainer.Request request) {
    Wish own = new Wish(request);
    waiting.add(own);
    while (own.outcome == null) {
      if (waiting.size() == members) {
        trainAll(trainer);
      } else {
        changed.awaitUninterruptibly();
      }
    }
    return own.outcome;
  }

  private void trainAll(Trainer trainer) {
    List<Wish> all = List.copyOf(waiting);
    waiting.clear();
    try {
      List<Trainer.Outcome> outcomes =
          trainer.train(all.stream().map(wish -> wish.request).toList());
      for (int i = 0; i < all.size(); i++) {
        all.get(i).outcome = outcomes.get(i);
      }
    } catch (RuntimeException e) {
      all.forEach(wish -> wish.outcome = new Trainer.Outcome(null, e));
    } catch (Error e) {
      // The others have to hear of it too.
      RuntimeException failure = new IllegalStateException("a training together failed: " + e, e);
      all.forEach(wish -> wish.outcome = new Trainer.Outcome(null, failure));
      throw e;
    } finally {
      changed.signalAll();
    }
  }
}
