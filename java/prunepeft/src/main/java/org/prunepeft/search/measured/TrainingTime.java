package org.prunepeft.search.measured;

import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.prunepeft.search.Candidate;

/**
 * Seconds of one training step, or of any other fixed amount of training, named {@code
 * training-seconds}: the backward pass goes down to the lowest layer that holds a module, and what
 * lies below that layer is either run forward each time or computed once.
 *
 * @param fixed what every training takes: embeddings, head, optimiser's overhead
 * @param forward of each layer's frozen part, from the first on
 * @param backward of each layer's frozen part likewise
 * @param modules by name of module, its own forward and backward pass and optimiser together
 * @param frozenOnce whether the layers below the lowest module are computed once and kept, so that
 *     their forward pass costs nothing
 */
public record TrainingTime(
    double fixed,
    List<Double> forward,
    List<Double> backward,
    Map<String, Double> modules,
    boolean frozenOnce)
    implements Cost {
  /**
   * @throws IllegalArgumentException if a time is negative or not finite, or if there are not as
   *     many backward as forward times
   */
  public TrainingTime {
    forward = List.copyOf(forward);
    backward = List.copyOf(backward);
    modules = Map.copyOf(modules);
    if (forward.size() != backward.size()) {
      throw new IllegalArgumentException(
          "there must be a backward time for each of "
              + forward.size()
              + " layers, got "
              + backward.size());
    }
    requireTime(fixed, "the fixed part");
    forward.forEach(time -> requireTime(time, "a layer's forward pass"));
    backward.forEach(time -> requireTime(time, "a layer's backward pass"));
    modules.forEach((name, time) -> requireTime(time, "module " + name));
  }

  /**
   * {@return the times of a measured layer, the same for each}
   *
   * @param layers how many there are
   * @param fixed what every training takes
   * @param forward of one layer
   * @param backward of one layer
   * @param modules all modules
   * @param module seconds of one module
   * @param frozenOnce whether frozen layers are computed once
   */
  public static TrainingTime alike(
      int layers,
      double fixed,
      double forward,
      double backward,
      Collection<Candidate> modules,
      ToDoubleFunction<Candidate> module,
      boolean frozenOnce) {
    Map<String, Double> byName = new HashMap<>();
    modules.forEach(each -> byName.put(each.name(), module.applyAsDouble(each)));
    return new TrainingTime(
        fixed,
        Collections.nCopies(layers, forward),
        Collections.nCopies(layers, backward),
        byName,
        frozenOnce);
  }

  @Override
  public String name() {
    return "training-seconds";
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if a module's layer or its time is not known
   */
  @Override
  public double of(Collection<Candidate> kept) {
    int lowest = kept.stream().mapToInt(Candidate::layer).min().orElse(forward.size());
    double seconds = fixed;
    for (int layer = 0; layer < forward.size(); layer++) {
      if (layer >= lowest) {
        seconds += forward.get(layer) + backward.get(layer);
      } else if (!frozenOnce) {
        seconds += forward.get(layer);
      }
    }
    // Sorted, because the sum's last bits would depend on the order.
    return seconds + kept.stream().mapToDouble(this::seconds).sorted().sum();
  }

  private double seconds(Candidate module) {
    Double seconds = modules.get(module.name());
    if (seconds == null || module.layer() >= forward.size()) {
      throw new IllegalArgumentException(
          "the training times must know each module and its layer, got "
              + module.name()
              + " in layer "
              + module.layer()
              + " of "
              + forward.size());
    }
    return seconds;
  }

  private static void requireTime(double time, String what) {
    if (!(time >= 0 && Double.isFinite(time))) {
      throw new IllegalArgumentException(
          "a training time must be at least 0 seconds, got " + time + " for " + what);
    }
  }
}
