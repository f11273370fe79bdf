package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Observation;
import org.prunepeft.search.Stage;
import org.prunepeft.search.StageKind;
import org.prunepeft.search.peer.GateTraining;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.search.peer.PeerTrainer;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.TrainingRun;

/**
 * The trainings of a search that PrunePEFT is compared with, each from the fitted head. What the
 * run has trained before it was cut off is not trained again.
 */
public final class PeerTraining implements PeerTrainer, AutoCloseable {
  private static final String GATES = "gates";
  private static final String TRIAL = "trial";

  private final PeftConfig config;
  private final Trainer trainer;
  private final TaskHead head;
  private final Plan plan;
  private final Listener listener;
  private final SupernetTraining supernet;
  private int trainings;
  private int epochs;

  /** Of gates that are trained; empty: they are not. */
  private double[] gates = {};

  /** Each trial so far. */
  private final List<PeerResult.Trial> trials = new ArrayList<>();

  private final List<Integer> trialEpochs = new ArrayList<>();

  /** How many of these the search has been given: fewer while a run that was cut off goes on. */
  private int given;

  /**
   * How a search trains.
   *
   * @param data training examples
   * @param epochs of a training, 1 or more
   * @param validation that trials are measured on
   * @param headAlone what the head alone gives there
   * @param withoutEffect whether a trial's modules begin without effect on the encoder
   * @param seed of the modules' weights, of the order of examples and of dropout
   */
  public record Plan(
      EncodedDataset data,
      int epochs,
      EncodedDataset validation,
      Evaluation headAlone,
      boolean withoutEffect,
      long seed) {}

  /** Follows the trainings. */
  @FunctionalInterface
  public interface Listener {
    /**
     * A training begins.
     *
     * @param name that says what for
     * @param steps how many it will have
     * @return follows it
     */
    StepListener started(String name, int steps);
  }

  /**
   * @param head fitted on the frozen encoder; every training begins from a copy
   */
  public PeerTraining(
      PeftConfig config, Trainer trainer, TaskHead head, Plan plan, Listener listener) {
    this.config = config;
    this.trainer = trainer;
    this.head = head;
    this.plan = plan;
    this.listener = listener;
    SupernetTraining.Fidelity fidelity = new SupernetTraining.Fidelity(plan.data, plan.epochs);
    supernet =
        new SupernetTraining(
            config,
            trainer,
            head,
            new SupernetTraining.Plan(fidelity, fidelity, CriterionSettings.DEFAULT, plan.seed),
            (stage, modules, steps) -> listener.started(named("supernet", modules), steps));
    trainer.checkpoints().add("peer", this::exchange);
  }

  private void exchange(StateExchange state) {
    gates = state.value(GATES, double[].class, gates);
    PeerResult.Trial[] measured =
        state.value("trials", PeerResult.Trial[].class, trials.toArray(PeerResult.Trial[]::new));
    Integer[] trained = state.value("epochs", Integer[].class, trialEpochs.toArray(Integer[]::new));
    if (state.restoring()) {
      trials.addAll(List.of(measured));
      trialEpochs.addAll(List.of(trained));
    }
  }

  private static String named(String what, int modules) {
    return what + ", " + modules + " modules";
  }

  @Override
  public void gates(GateTraining training) {
    try (PeftModules modules = modules(training.modules());
        TaskHead own = head.copy()) {
      TrainingRun run =
          new TrainingRun(
                  modules, own, plan.data, plan.epochs, Seeds.derive(plan.seed, GATES), null)
              .whoseModulesAreJudged();
      StepListener follower =
          listener.started(named(GATES, training.modules().size()), trainer.steps(run));
      if (gates.length > 0) {
        training.restore(gates);
      } else {
        // With random weights a module would do harm, and its gate close, until it has unlearnt
        // them.
        modules.initialise(plan.seed, GATES, true);
        modules.gate(training);
        trainer.train(run, follower);
        gates = training.state();
      }
      count(plan.epochs);
    }
  }

  /** A training that diverged is made again, once, at half its learning rates. */
  @Override
  public Observation supernet(List<Candidate> modules) {
    Observation observation = supernet(modules, 1);
    return observation.diverged() ? supernet(modules, 0.5) : observation;
  }

  private Observation supernet(List<Candidate> modules, double rate) {
    count(plan.epochs);
    return supernet.train(new Stage(StageKind.ROUND, 1, true, rate), modules);
  }

  @Override
  public PeerResult.Trial validated(List<Candidate> candidates) {
    try (PeftModules modules = modules(candidates);
        TaskHead own = head.copy()) {
      TrainingRun run =
          new TrainingRun(
                  modules,
                  own,
                  plan.data,
                  plan.epochs,
                  // The same for each trial, so that they differ in their modules alone.
                  Seeds.derive(plan.seed, TRIAL),
                  plan.validation)
              .comparedWith(plan.headAlone)
              .whoseModulesAreJudged();
      StepListener follower =
          listener.started(named(TRIAL + " " + (given + 1), candidates.size()), trainer.steps(run));
      if (given == trials.size()) {
        modules.initialise(plan.seed, TRIAL, plan.withoutEffect);
        measure(run, follower);
      }
    }
    PeerResult.Trial trial = trials.get(given);
    if (!trial.modules().equals(Candidate.names(candidates))) {
      throw new UnresumableRunException(
          "trial %d of the checkpoint trained other modules than are proposed now: it was made by another version; begin the run anew"
              .formatted(given + 1));
    }
    count(trialEpochs.get(given));
    given++;
    return trial;
  }

  private void measure(TrainingRun run, StepListener follower) {
    List<String> names = Candidate.names(run.modules().candidates());
    try {
      Trainer.Result result = trainer.train(run, follower);
      trials.add(PeerResult.Trial.of(names, result.validation().primary()));
      trialEpochs.add(result.epochs());
    } catch (DivergedException e) {
      trials.add(new PeerResult.Trial(names, plan.headAlone.primary(), e.getMessage()));
      trialEpochs.add(plan.epochs);
      follower.failed("diverged, and counts as the head alone: " + e.getMessage());
    }
  }

  private PeftModules modules(List<Candidate> candidates) {
    return new PeftModules(config, trainer.encoder().config(), candidates, head.device());
  }

  private void count(int more) {
    trainings++;
    epochs += more;
  }

  @Override
  public PeerResult.TrainingEffort effort() {
    return new PeerResult.TrainingEffort(trainings, epochs, plan.data.size());
  }

  @Override
  public void close() {
    supernet.close();
  }
}
