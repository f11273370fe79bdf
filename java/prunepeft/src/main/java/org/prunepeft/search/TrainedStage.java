package org.prunepeft.search;

import java.util.List;

/**
 * A training as it counts: one that diverged is made again, once, at half its learning rates. One
 * that stayed where it began is not: at lower rates it would learn even less.
 *
 * @param stage how it was trained
 * @param observation what it showed
 */
record TrainedStage(Stage stage, Observation observation) {
  static TrainedStage of(SupernetTrainer trainer, Stage stage, List<Candidate> modules) {
    Observation observation = trainer.train(stage, modules);
    if (!observation.diverged()) {
      return new TrainedStage(stage, observation);
    }
    Stage gentler = stage.gentler();
    return new TrainedStage(gentler, trainer.train(gentler, modules).after(observation));
  }
}
