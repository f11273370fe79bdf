package org.prunepeft.train.loop;

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
    double all = cost(encoder, run, false);
    double first = frozenOnce ? all - cost(encoder, run, true) : 0;
    total += A_MULTIPLICATION * tokens * (epochs * (all - first) + first);
  }

  /** Multiplications of a token in an epoch. */
  private static double cost(EncoderConfig encoder, TrainingRun run, boolean frozenOnce) {
    double layer = multiplications(encoder);
    if (run.encoder() != null) {
      return encoder.layers() * trained(layer);
    }
    List<Double> layers = Collections.nCopies(encoder.layers(), layer);
    return new TrainingTime(0, layers, layers, modules(run.modules().candidates()), frozenOnce)
        .of(run.modules().candidates());
  }

  /** Of a token in a layer's frozen linears, forward. */
  public static double multiplications(EncoderConfig encoder) {
    return encoder.projections().stream()
        .mapToDouble(linear -> (double) encoder.inputs(linear) * encoder.outputs(linear))
        .sum();
  }

  /** By name of module. */
  public static Map<String, Double> modules(List<Candidate> candidates) {
    return candidates.stream()
        .collect(
            Collectors.toMap(Candidate::name, module -> trained((double) module.parameters())));
  }

  /** What has weights to learn multiplies forward, and backward for its input and for these. */
  private static double trained(double forward) {
    return 3 * forward;
  }
}
