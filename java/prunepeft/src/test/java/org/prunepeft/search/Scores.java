package org.prunepeft.search;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * Criterion scores set by hand, and a trainer that reports them whatever it trains. Each module has
 * one weight, so that sums are scores; what is not set is 1 for all modules, a wholly tied
 * criterion.
 */
final class Scores implements SupernetTrainer {
  enum Part {
    WHOLE,
    FIRST_HALF,
    SECOND_HALF
  }

  final List<Stage> stages = new ArrayList<>();
  final List<List<Candidate>> trained = new ArrayList<>();

  private final Map<String, Double> values = new HashMap<>();
  private boolean halves;
  private Function<Stage, TrainingHealth> health;

  /** Layers with a LoRA module of 10 parameters and an adapter of 20 each. */
  static SearchSpace space(int layers) {
    List<Candidate> modules = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      modules.add(lora(layer, 10));
      modules.add(adapter(layer, 20));
    }
    return new SearchSpace(layers, modules);
  }

  /** Layers with a LoRA module of one parameter each. */
  static SearchSpace loraOnly(int layers) {
    List<Candidate> modules = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      modules.add(lora(layer, 1));
    }
    return new SearchSpace(layers, modules);
  }

  static Candidate lora(int layer, long parameters) {
    return new Candidate("lora." + layer, layer, Candidate.LORA, parameters);
  }

  static Candidate adapter(int layer, long parameters) {
    return new Candidate("adapter." + layer, layer, Candidate.ADAPTER, parameters);
  }

  /** Scores of the modules of a type in the order of their layers. */
  Scores set(String criterion, String type, double... byLayer) {
    for (Part part : Part.values()) {
      set(part, criterion, type, byLayer);
    }
    return this;
  }

  Scores setHalves(String criterion, String type, double[] first, double[] second) {
    halves = true;
    set(Part.FIRST_HALF, criterion, type, first);
    return set(Part.SECOND_HALF, criterion, type, second);
  }

  /** How its trainings go. */
  Scores setHealth(Function<Stage, TrainingHealth> health) {
    this.health = health;
    return this;
  }

  private Scores set(Part part, String criterion, String type, double... byLayer) {
    for (int layer = 0; layer < byLayer.length; layer++) {
      values.put(key(part, criterion, type + "." + layer), byLayer[layer]);
    }
    return this;
  }

  @Override
  public Observation train(Stage stage, List<Candidate> modules) {
    stages.add(stage);
    trained.add(modules);
    Map<String, ModuleStatistics> none = Map.of();
    Observation observation =
        new Observation(
            statistics(Part.WHOLE, modules),
            halves ? statistics(Part.FIRST_HALF, modules) : none,
            halves ? statistics(Part.SECOND_HALF, modules) : none);
    return health == null ? observation : observation.with(health.apply(stage));
  }

  private Map<String, ModuleStatistics> statistics(Part part, List<Candidate> modules) {
    Map<String, ModuleStatistics> statistics = new HashMap<>();
    for (Candidate module : modules) {
      ToDoubleFunction<String> of =
          criterion -> values.getOrDefault(key(part, criterion, module.name()), 1.0);
      statistics.put(
          module.name(),
          new ModuleStatistics(
              1,
              of.applyAsDouble("weight"),
              1,
              of.applyAsDouble("zeros"),
              of.applyAsDouble("threshold"),
              1,
              of.applyAsDouble("gradient"),
              of.applyAsDouble("sensitivity-signed"),
              of.applyAsDouble("sensitivity"),
              1,
              of.applyAsDouble("activation")));
    }
    return statistics;
  }

  private static String key(Part part, String criterion, String module) {
    return part + " " + criterion + " " + module;
  }
}
