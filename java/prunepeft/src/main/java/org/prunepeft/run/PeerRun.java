package org.prunepeft.run;

import org.prunepeft.data.TaskKind;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.settings.PeerSettings;
import org.prunepeft.train.loop.PeerTraining;

/** A search by another method, to compare PrunePEFT with. */
public final class PeerRun implements AutoCloseable {
  private final Session session;
  private final PeerSettings settings;
  private final long budget;
  private final PeerTraining training;

  /**
   * Draws the examples.
   *
   * @param budget trainable parameters to be left at most
   * @throws IllegalArgumentException if trials are to be measured, and there are no validation
   *     examples
   */
  public PeerRun(Session session, PeerSettings settings, long budget, MetricsLog log) {
    if (settings.method() == PeerSettings.Method.BAYESIAN && session.validation.size() == 0) {
      throw new IllegalArgumentException(
          "a Bayesian search measures its trials on validation examples, and there are none;"
              + " --validation-examples or --validation-file gives some");
    }
    this.session = session;
    this.settings = settings;
    this.budget = budget;
    training =
        new PeerTraining(
            session.setup.peft(),
            session.trainer,
            session.baseline.head(),
            new PeerTraining.Plan(
                session.sample("peer", settings.searchExamples()),
                settings.epochs(),
                session.validation,
                session.baseline.validation(),
                session.dataset.schema().kind() != TaskKind.CLASSIFICATION,
                Seeds.derive(session.setup.seed(), "peer")),
            (name, steps) -> session.follow(name, steps, log));
  }

  /** {@return what is kept, and why} */
  public PeerResult search() {
    return settings.search(session.setup.seed()).run(session.space, budget, training);
  }

  @Override
  public void close() {
    training.close();
  }
}
