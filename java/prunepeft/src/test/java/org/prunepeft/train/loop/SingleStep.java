package org.prunepeft.train.loop;

import java.util.List;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.StepLosses;
import org.prunepeft.train.pass.TrainingRun;

/** The forward and backward passes of one step for itself; gradients are left in the parameters. */
record SingleStep(TrainingRun run, Batch batch, int step, RoundStatistics statistics) {
  /** The mean loss of a first step. */
  static double loss(Trainer trainer, TrainingRun run, Batch batch) {
    return new SingleStep(run, batch, 0, null)
        .loss(trainer, GradientPasses.Mode.of(trainer.encoder().device()));
  }

  /** The mean loss. */
  double loss(Trainer trainer, GradientPasses.Mode mode) {
    try (Tape tape = new Tape(trainer.settings().gradientCheckpointing());
        GradientPasses passes =
            new GradientPasses(trainer.encoder(), trainer.settings(), tape, mode);
        StepLosses losses = new StepLosses(trainer.encoder().device(), 1)) {
      GradientPasses.Member member =
          new GradientPasses.Member(run, null, losses, run.modules().trainingHooks(1, true), 1);
      passes.step(List.of(new GradientPasses.Step(member, batch, step, statistics)));
      return losses.read()[0];
    }
  }
}
