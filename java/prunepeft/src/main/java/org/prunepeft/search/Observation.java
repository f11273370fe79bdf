package org.prunepeft.search;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What a training showed of each module, by module name. The halves hold the same weights as the
 * whole, with the gradients and outputs of the first and of the second half of the batches; how
 * well they agree is the reliability of a criterion.
 *
 * @param whole over all batches
 * @param firstHalf over the first half of them; empty if halves were not measured, such as those of
 *     a training of one step
 * @param secondHalf over the second half of them; empty if halves were not measured
 * @param health how the training went; empty if that was not measured
 */
public record Observation(
    Map<String, ModuleStatistics> whole,
    Map<String, ModuleStatistics> firstHalf,
    Map<String, ModuleStatistics> secondHalf,
    Optional<TrainingHealth> health) {
  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Observation {
    whole = Map.copyOf(whole);
    firstHalf = Map.copyOf(firstHalf);
    secondHalf = Map.copyOf(secondHalf);
    if (firstHalf.isEmpty() != secondHalf.isEmpty()) {
      throw new IllegalArgumentException(
          "an observation must have both halves or neither, got statistics of "
              + firstHalf.size()
              + " modules in the first half and of "
              + secondHalf.size()
              + " in the second");
    }
  }

  /**
   * Of a training whose health was not measured.
   *
   * @param whole over all batches
   * @param firstHalf over the first half of them
   * @param secondHalf over the second half of them
   */
  public Observation(
      Map<String, ModuleStatistics> whole,
      Map<String, ModuleStatistics> firstHalf,
      Map<String, ModuleStatistics> secondHalf) {
    this(whole, firstHalf, secondHalf, Optional.empty());
  }

  /**
   * {@return what is left to see of a training whose loss is NaN or infinite: nothing that would
   * distinguish modules}
   *
   * @param modules that were trained
   * @param health how the training went
   */
  public static Observation blank(List<Candidate> modules, TrainingHealth health) {
    ModuleStatistics alike = new ModuleStatistics(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    return new Observation(
        modules.stream().collect(Collectors.toMap(Candidate::name, module -> alike)),
        Map.of(),
        Map.of(),
        Optional.of(health));
  }

  /**
   * {@return the same observation with the training's health}
   *
   * @param health how the training went
   */
  public Observation with(TrainingHealth health) {
    return new Observation(whole, firstHalf, secondHalf, Optional.of(health));
  }

  /** {@return the same, whose health knows why the attempt before diverged} */
  Observation after(Observation first) {
    return health.isEmpty() || first.health.isEmpty()
        ? this
        : with(health.get().after(first.health.get()));
  }

  /** {@return whether the training learnt something, or was not asked} */
  public boolean healthy() {
    return health.map(TrainingHealth::healthy).orElse(true);
  }

  /** {@return whether the training's loss rose, or was NaN or infinite} */
  public boolean diverged() {
    return health.map(h -> h.state() == TrainingHealth.State.DIVERGED).orElse(false);
  }

  /** {@return whether all statistics are finite} */
  public boolean isFinite() {
    return nonFinite().isEmpty();
  }

  /** {@return the first module by name of which a statistic is NaN or infinite} */
  public Optional<String> nonFinite() {
    return Stream.of(whole, firstHalf, secondHalf)
        .flatMap(part -> part.entrySet().stream())
        .filter(module -> !module.getValue().isFinite())
        .map(Map.Entry::getKey)
        .min(Comparator.naturalOrder());
  }

  /** {@return whether the two halves of the batches were measured} */
  public boolean hasHalves() {
    return !firstHalf.isEmpty();
  }
}
