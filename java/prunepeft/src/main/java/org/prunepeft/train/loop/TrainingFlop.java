package org.prunepeft.train.loop;

import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.TrainingTime;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.pass.TrainingRun;

/**
 * The floating-point operations of a run's trainings so far: two for each multiplication in frozen
 * linear layers and in modules, forward and backward, of all tokens but padding. Attention's own
 * products, normalisations, heads and validation are left out. The same on each machine.
 */
public final class TrainingFlop {
  private static final double A_MULTIPLICATION = 2;

  private double total;

  /** {@return that of all trainings so far} */
  public double total() {
    return total;
  }

  /** Gives it to a checkpoint, or takes it from one. */
  public void exchange(StateExchange state) {
    total = state.number("flop", total);
  }

  /**
   * Adds a training that has ended.
   *
   * @param epochs how many were trained
   * @param frozenOnce whether the layers below its lowest module were computed in the first alone
   */
  void add(EncoderConfig encoder, TrainingRun run, int epochs, boolean frozenOnce) {
    double tokens = run.data().tokens();
    total +=
        run.encoder() == null
            ? of(encoder, run.modules().candidates(), tokens, epochs, frozenOnce)
            : A_MULTIPLICATION
                * tokens
                * (epochs * (encoder.layers() * trained(multiplications(encoder))));
  }

  /**
   * {@return the operations of a training of modules}
   *
   * @param tokens of its examples
   * @param epochs how many are trained
   * @param frozenOnce whether the layers below the lowest module are computed in the first alone
   */
  public static double of(
      EncoderConfig encoder,
      Collection<Candidate> modules,
      double tokens,
      int epochs,
      boolean frozenOnce) {
    double all = cost(encoder, modules, false);
    double first = frozenOnce ? all - cost(encoder, modules, true) : 0;
    return A_MULTIPLICATION * tokens * (epochs * (all - first) + first);
  }

  /** Multiplications of a token in an epoch. */
  private static double cost(
      EncoderConfig encoder, Collection<Candidate> modules, boolean frozenOnce) {
    List<Double> layers = Collections.nCopies(encoder.layers(), multiplications(encoder));
    return new TrainingTime(0, layers, layers, modules(modules), frozenOnce).of(modules);
  }

  /** Of a token in a layer's frozen linears, forward. */
  public static double multiplications(EncoderConfig encoder) {
    return encoder.projections().stream()
        .mapToDouble(linear -> (double) encoder.inputs(linear) * encoder.outputs(linear))
        .sum();
  }

  /** By name of module. */
  public static Map<String, Double> modules(Collection<Candidate> candidates) {
    return candidates.stream()
        .collect(
            Collectors.toMap(Candidate::name, module -> trained((double) module.parameters())));
  }

  /** What has weights to learn multiplies forward, and backward for its input and for these. */
  private static double trained(double forward) {
    return 3 * forward;
  }
}
