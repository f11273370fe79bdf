package org.prunepeft.run;

import java.util.Collection;
import java.util.Collections;
import java.util.List;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.search.measured.TrainingTime;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.train.loop.TrainingFlop;

/**
 * What configurations cost on an encoder, from counted multiplications: the same on each machine,
 * so that a search gives the same result again.
 */
final class ConfigurationCosts {
  static final String TRAINING_TIME = "training-time";
  static final String LATENCY = "latency";
  static final String MEMORY = "memory";

  private ConfigurationCosts() {}

  /**
   * {@return the costs that are named, in that order}
   *
   * @param names of {@link MeasuringSettings#OBJECTIVES}
   * @param frozenOnce whether layers below the lowest module are computed once a training
   */
  static List<Cost> of(
      List<String> names, EncoderConfig encoder, SearchSpace space, boolean frozenOnce) {
    return names.stream()
        .map(
            name ->
                switch (name) {
                  case "parameters" -> Cost.parameters();
                  case TRAINING_TIME ->
                      new Relative(TRAINING_TIME, trainingTime(encoder, space, frozenOnce), space);
                  case LATENCY -> new Relative(LATENCY, new Inference(encoder), space);
                  case MEMORY -> new Memory();
                  default -> throw new IllegalArgumentException("no cost is named " + name);
                })
        .toList();
  }

  private static Cost trainingTime(EncoderConfig encoder, SearchSpace space, boolean frozenOnce) {
    List<Double> layers =
        Collections.nCopies(space.layers(), TrainingFlop.multiplications(encoder));
    return new TrainingTime(
        0, layers, layers, TrainingFlop.modules(space.candidates()), frozenOnce);
  }

  /** LoRA can be merged into the frozen weights and then costs nothing. */
  private record Inference(EncoderConfig encoder) implements Cost {
    @Override
    public String name() {
      return LATENCY;
    }

    @Override
    public double of(Collection<Candidate> modules) {
      return pass(encoder, Candidate.total(own(modules)));
    }

    /** Of the frozen encoder: modules add a few hundredths to that. */
    @Override
    public double fixed() {
      return pass(encoder, 0);
    }
  }

  /**
   * Bytes that are added to the frozen encoder's weights while it predicts: of LoRA none, since it
   * is merged into them, of other modules their trained weights in float32.
   */
  private record Memory() implements Cost {
    @Override
    public String name() {
      return MEMORY;
    }

    @Override
    public double of(Collection<Candidate> modules) {
      return (double) Float.BYTES * Candidate.total(own(modules));
    }
  }

  /** Multiplications of a token in a forward pass, with modules of so many parameters. */
  static double pass(EncoderConfig encoder, double parameters) {
    return encoder.layers() * TrainingFlop.multiplications(encoder) + parameters;
  }

  /** Those that are not merged. */
  static List<Candidate> own(Collection<Candidate> modules) {
    return modules.stream().filter(each -> !each.type().equals(Candidate.LORA)).toList();
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

    @Override
    public double fixed() {
      return cost.fixed() / supernet;
    }
  }
}
