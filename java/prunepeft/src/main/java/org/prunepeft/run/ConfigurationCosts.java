package org.prunepeft.run;

import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.search.measured.TrainingTime;
import org.prunepeft.text.Spelling;

/**
 * What configurations cost on an encoder, from counted multiplications: the same on each machine,
 * so that a search gives the same result again.
 */
final class ConfigurationCosts {
  private static final String PARAMETERS = "parameters";
  private static final String TRAINING_TIME = "training-time";
  private static final String LATENCY = "latency";

  /** The objectives that can be named. */
  static final List<String> NAMES = List.of(PARAMETERS, TRAINING_TIME, LATENCY);

  private ConfigurationCosts() {}

  /**
   * {@return the costs that are named, in that order}
   *
   * @param frozenOnce whether layers below the lowest module are computed once a training
   * @throws IllegalArgumentException if there is none of a name
   */
  static List<Cost> of(
      List<String> names, EncoderConfig encoder, SearchSpace space, boolean frozenOnce) {
    return names.stream()
        .map(
            name ->
                switch (name) {
                  case PARAMETERS -> Cost.parameters();
                  case TRAINING_TIME ->
                      new Relative(TRAINING_TIME, trainingTime(encoder, space, frozenOnce), space);
                  case LATENCY -> new Relative(LATENCY, new Inference(encoder), space);
                  default ->
                      throw new IllegalArgumentException(
                          Spelling.unknown("objective", name, NAMES));
                })
        .toList();
  }

  /** Multiplications of a token in a layer's frozen linears. */
  private static double layer(EncoderConfig encoder) {
    double hidden = encoder.hidden();
    return hidden * (4 * hidden + 2 * encoder.intermediate());
  }

  /** A module multiplies by its weights forward, and backward for its input and for themselves. */
  private static Cost trainingTime(EncoderConfig encoder, SearchSpace space, boolean frozenOnce) {
    Map<String, Double> modules = new HashMap<>();
    space.candidates().forEach(each -> modules.put(each.name(), 3.0 * each.parameters()));
    List<Double> layers = Collections.nCopies(space.layers(), layer(encoder));
    return new TrainingTime(0, layers, layers, modules, frozenOnce);
  }

  /** LoRA can be merged into the frozen weights and then costs nothing. */
  private record Inference(EncoderConfig encoder) implements Cost {
    @Override
    public String name() {
      return LATENCY;
    }

    @Override
    public double of(Collection<Candidate> modules) {
      return encoder.layers() * layer(encoder)
          + Candidate.total(
              modules.stream().filter(each -> !each.type().equals(Candidate.LORA)).toList());
    }
  }

  /** As a share of the supernet's. */
  private record Relative(String name, Cost cost, double supernet) implements Cost {
    Relative(String name, Cost cost, SearchSpace space) {
      this(name, cost, cost.of(space.candidates()));
    }

    @Override
    public double of(Collection<Candidate> modules) {
      return cost.of(modules) / supernet;
    }
  }
}
