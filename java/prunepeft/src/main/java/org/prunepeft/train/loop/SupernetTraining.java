package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Observation;
import org.prunepeft.search.Stage;
import org.prunepeft.search.StageKind;
import org.prunepeft.search.SupernetTrainer;
import org.prunepeft.search.TrainingHealth;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Trains the supernet for a search: the warm-up on a small sample, the rounds on a larger one, each
 * from the fitted head.
 */
public final class SupernetTraining implements SupernetTrainer, AutoCloseable {
  /**
   * What one kind of stage trains on.
   *
   * @param data examples
   * @param epochs 1 or more
   */
  public record Fidelity(EncodedDataset data, int epochs) {}

  private final PeftConfig config;
  private final Trainer trainer;
  private final TaskHead head;
  private final Plan plan;
  private final StageListener listener;
  private final Map<EncodedDataset, Probe> probes = new IdentityHashMap<>();
  private PeftModules trained;

  /** What each training so far has shown. */
  private final List<Observation> observations = new ArrayList<>();

  /** How many of these the search has been given: fewer while a run that was cut off goes on. */
  private int given;

  /** Follows the trainings of a search. */
  @FunctionalInterface
  public interface StageListener {
    /**
     * A training begins.
     *
     * @param steps how many it will have
     * @return follows it
     */
    StepListener started(Stage stage, int modules, int steps);
  }

  /**
   * How a search trains.
   *
   * @param seed of the modules' weights, of the order of examples and of dropout
   */
  public record Plan(Fidelity warmUp, Fidelity round, CriterionSettings criteria, long seed) {}

  /**
   * @param head fitted on the frozen encoder; every training begins from a copy
   */
  public SupernetTraining(
      PeftConfig config, Trainer trainer, TaskHead head, Plan plan, StageListener listener) {
    this.config = config;
    this.trainer = trainer;
    this.head = head;
    this.plan = plan;
    this.listener = listener;
    trainer.checkpoints().add("stages", this::exchange);
  }

  private void exchange(StateExchange state) {
    Observation[] all =
        state.value("observations", Observation[].class, observations.toArray(Observation[]::new));
    if (state.restoring()) {
      observations.addAll(List.of(all));
    }
  }

  /** Training examples on which a training's loss is measured before and after it. */
  private static final int PROBE = 256;

  /** By data: what is measured on, and the head's loss there. */
  private record Probe(EncodedDataset examples, double headAlone) {}

  private Probe probe(Fidelity fidelity) {
    return probes.computeIfAbsent(
        fidelity.data,
        data -> {
          int size = Math.min(PROBE, data.size());
          EncodedDataset examples =
              data.subset(
                  IntStream.range(0, size)
                      .mapToObj(i -> (int) ((long) i * data.size() / size))
                      .toList());
          try (PeftModules none =
              new PeftModules(config, trainer.encoder().config(), List.of(), head.device())) {
            return new Probe(examples, objective(none, head, examples));
          }
        });
  }

  /** A training that the run has made before it was cut off is not made again. */
  @Override
  public Observation train(Stage stage, List<Candidate> candidates) {
    Fidelity fidelity = stage.kind() == StageKind.WARM_UP ? plan.warmUp : plan.round;
    if (given == observations.size()) {
      observations.add(observe(stage, candidates, fidelity));
    } else {
      listener.started(stage, candidates.size(), trainer.steps(fidelity.data, fidelity.epochs));
    }
    return observations.get(given++);
  }

  private Observation observe(Stage stage, List<Candidate> candidates, Fidelity fidelity) {
    String name = name(stage);
    PeftModules modules =
        new PeftModules(config, trainer.encoder().config(), candidates, head.device());
    if (stage.fresh() || trained == null) {
      modules.initialise(plan.seed, name);
    } else {
      modules.copyWeights(trained);
    }
    keep(modules);
    try (TaskHead own = head.copy()) {
      TrainingRun run =
          new TrainingRun(
                  modules, own, fidelity.data, fidelity.epochs, Seeds.derive(plan.seed, name), null)
              .atRate(stage.rate())
              .whoseModulesAreJudged();
      Probe probe = probe(fidelity);
      int steps = trainer.steps(run);
      StepListener follower = listener.started(stage, candidates.size(), steps);
      try (RoundStatistics statistics =
          new RoundStatistics(modules, plan.criteria, steps, fidelity.epochs)) {
        trainer.train(run, follower, statistics);
        Observation observation = statistics.observe();
        double loss = objective(modules, own, probe.examples);
        double began = loss > probe.headAlone ? began(stage, candidates, probe) : probe.headAlone;
        return said(
            observation
                .nonFinite()
                .map(
                    module ->
                        blank(candidates, probe, "the statistics of " + module + " are not finite"))
                .orElse(observation.with(TrainingHealth.of(probe.headAlone, began, loss))),
            follower);
      } catch (DivergedException e) {
        return said(blank(candidates, probe, e.getMessage()), follower);
      }
    }
  }

  private static Observation blank(List<Candidate> candidates, Probe probe, String why) {
    return Observation.blank(candidates, TrainingHealth.diverged(probe.headAlone, why));
  }

  private static Observation said(Observation observation, StepListener follower) {
    observation
        .health()
        .flatMap(TrainingHealth::divergence)
        .ifPresent(why -> follower.failed("diverged: " + why));
    return observation;
  }

  /** The loss that a training from new weights begins with; asked for only where one looks sick. */
  private double began(Stage stage, List<Candidate> candidates, Probe probe) {
    if (!stage.fresh()) {
      return probe.headAlone;
    }
    try (PeftModules fresh =
        new PeftModules(config, trainer.encoder().config(), candidates, head.device())) {
      fresh.initialise(plan.seed, name(stage));
      return objective(fresh, head, probe.examples);
    }
  }

  /**
   * The mean loss that a training makes less: on classes by their weights and with label smoothing,
   * of which an evaluation's knows neither; of a language model without smoothing.
   */
  private double objective(PeftModules modules, TaskHead head, EncodedDataset data) {
    Evaluation evaluation = trainer.predictor().evaluate(modules, head, data);
    return head.objective(evaluation, data.targets(), trainer.settings().labelSmoothing());
  }

  private static String name(Stage stage) {
    return stage.kind().name() + "/" + stage.index();
  }

  private void keep(PeftModules modules) {
    close();
    trained = modules;
  }

  @Override
  public void close() {
    if (trained != null) {
      trained.close();
      trained = null;
    }
  }
}
