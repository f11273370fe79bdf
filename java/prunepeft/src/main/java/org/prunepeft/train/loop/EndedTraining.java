package org.prunepeft.train.loop;

import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.pass.TrainingRun;

/** What a run's last training has left, which checkpoints keep until the run is over. */
final class EndedTraining {
  /** In checkpoints. */
  static final String PART = "trained";

  private final TrainingRun run;
  private Trainer.Result result = new Trainer.Result(null, 0, 0);
  private boolean kept;

  EndedTraining(TrainingRun run) {
    this.run = run;
  }

  /** It has ended: checkpoints keep it. */
  void keep(Trainer.Result ended, Checkpoints checkpoints) {
    result = ended;
    keep(checkpoints);
  }

  /** Checkpoints keep it, or give it. */
  void keep(Checkpoints checkpoints) {
    kept = true;
    checkpoints.add(PART, this::exchange);
  }

  boolean isKept() {
    return kept;
  }

  Trainer.Result result() {
    return result;
  }

  /** Gives weights and result to a checkpoint, or takes them from one. */
  private void exchange(StateExchange state) {
    run.modules().exchange(state.part("modules"));
    run.head().exchange(state.part("head"));
    if (run.encoder() != null) {
      state.tensor("encoder", run.encoder().values());
    }
    int bestEpoch = state.number("best epoch", result.bestEpoch());
    int epochs = state.number("epochs", result.epochs());
    Evaluation best = result.validation();
    boolean validated = state.value("validated", Boolean.class, best != null);
    float[] outputs = best == null ? null : best.predictions().outputs();
    if (validated && bestEpoch > 0) {
      outputs = state.floats("best outputs", outputs);
    }
    if (state.restoring()) {
      result = new Trainer.Result(validated ? best(bestEpoch, outputs) : null, bestEpoch, epochs);
    }
  }

  private Evaluation best(int bestEpoch, float[] outputs) {
    return bestEpoch == 0 ? run.start() : Predictor.evaluation(run, outputs);
  }
}
