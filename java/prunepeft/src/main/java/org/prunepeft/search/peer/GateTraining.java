package org.prunepeft.search.peer;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/**
 * A gate on each module, trained with the modules: what a module does is multiplied by z = σ((a +
 * noise) / t), with logistic noise that is drawn anew in each step (a binary concrete variable,
 * Maddison and others 2017) and t = 2/3. Adam updates the logits a. After each update all are
 * shifted alike, so that Σ n·σ(a), n the module's parameters, is the budget: gates compete, and not
 * all can open.
 *
 * <p>What is drawn depends on the seed, the step and the place of the module alone.
 */
public final class GateTraining {
  private static final double TEMPERATURE = 2.0 / 3;
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  /** Where nothing has to go, a share below 1 that a sigmoid can reach. */
  private static final double MOST = 0.99;

  /** Beyond it a sigmoid is 0 or 1. */
  private static final double FARTHEST = 60;

  private final SearchSpace space;
  private final double[] parameters;
  private final double target;
  private final double learningRate;
  private final long seed;
  private final double[] logits;
  private final double[] first;
  private final double[] second;
  private int steps;

  /**
   * All gates begin alike.
   *
   * @param space all modules that there are
   * @param budget trainable parameters that may be left
   * @param learningRate of the logits, above 0
   * @param seed of the noise
   * @throws IllegalArgumentException if a value is out of its range
   */
  public GateTraining(SearchSpace space, long budget, double learningRate, long seed) {
    space.requireBudget(budget);
    requireRate(learningRate);
    this.space = space;
    this.learningRate = learningRate;
    this.seed = seed;
    parameters = space.candidates().stream().mapToDouble(Candidate::parameters).toArray();
    target = Math.min(budget, MOST * space.totalParameters());
    logits = new double[parameters.length];
    first = new double[parameters.length];
    second = new double[parameters.length];
    shift();
  }

  static void requireRate(double learningRate) {
    if (!(learningRate > 0 && learningRate < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "the gates' learning rate must be above 0, got " + learningRate);
    }
  }

  /** {@return the modules that have gates, in their order here} */
  public List<Candidate> modules() {
    return space.candidates();
  }

  /** {@return z of each module in the step that comes next, in [0, 1]} */
  public float[] values() {
    double[] noise = noise();
    float[] values = new float[logits.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) sigmoid((logits[i] + noise[i]) / TEMPERATURE);
    }
    return values;
  }

  /** Of the step that comes next. */
  private double[] noise() {
    Random random = new Random(seed + 0x9e3779b97f4a7c15L * (steps + 1));
    double[] noise = new double[logits.length];
    for (int i = 0; i < noise.length; i++) {
      double uniform = Math.max(1e-12, random.nextDouble());
      noise[i] = StrictMath.log(uniform) - StrictMath.log1p(-uniform);
    }
    return noise;
  }

  /**
   * Updates the logits.
   *
   * @param gradients of the loss by {@link #values}, one each
   * @throws IllegalArgumentException if one is not finite; no logit has changed then
   */
  public void update(float[] gradients) {
    nonFinite(gradients)
        .ifPresent(
            first -> {
              throw new IllegalArgumentException(first);
            });
    float[] values = values();
    steps++;
    for (int i = 0; i < logits.length; i++) {
      double gradient = gradients[i] * values[i] * (1.0 - values[i]) / TEMPERATURE;
      first[i] = BETA1 * first[i] + (1 - BETA1) * gradient;
      second[i] = BETA2 * second[i] + (1 - BETA2) * gradient * gradient;
      double mean = first[i] / (1 - StrictMath.pow(BETA1, steps));
      double square = second[i] / (1 - StrictMath.pow(BETA2, steps));
      logits[i] -= learningRate * mean / (Math.sqrt(square) + EPSILON);
    }
    shift();
  }

  /** {@return the first of the gates' gradients that is NaN or infinite, for an error} */
  public Optional<String> nonFinite(float[] gradients) {
    return IntStream.range(0, gradients.length)
        .filter(i -> !Float.isFinite(gradients[i]))
        .mapToObj(
            i ->
                "gradient of the gate on %s is %s"
                    .formatted(space.candidates().get(i).name(), gradients[i]))
        .findFirst();
  }

  /** By bisection: the expected parameters rise with the shift. */
  private void shift() {
    double low = -FARTHEST - Arrays.stream(logits).max().orElseThrow();
    double high = FARTHEST - Arrays.stream(logits).min().orElseThrow();
    for (int i = 0; i < 100; i++) {
      double middle = (low + high) / 2;
      if (expected(middle) < target) {
        low = middle;
      } else {
        high = middle;
      }
    }
    for (int i = 0; i < logits.length; i++) {
      logits[i] += (low + high) / 2;
    }
  }

  private double expected(double shift) {
    double sum = 0;
    for (int i = 0; i < logits.length; i++) {
      sum += parameters[i] * sigmoid(logits[i] + shift);
    }
    return sum;
  }

  /** {@return σ(a) of each module, the probability that its gate is open} */
  public double[] probabilities() {
    return Arrays.stream(logits).map(GateTraining::sigmoid).toArray();
  }

  /** {@return all that it remembers from step to step} */
  public double[] state() {
    int count = logits.length;
    double[] state = new double[3 * count + 1];
    System.arraycopy(logits, 0, state, 0, count);
    System.arraycopy(first, 0, state, count, count);
    System.arraycopy(second, 0, state, 2 * count, count);
    state[3 * count] = steps;
    return state;
  }

  /**
   * Goes on from an earlier state.
   *
   * @param state that {@link #state} gave
   * @throws IllegalArgumentException if it is of another number of modules
   */
  public void restore(double[] state) {
    int count = logits.length;
    if (state.length != 3 * count + 1) {
      throw new IllegalArgumentException(
          "the state of %d gates has %d numbers, got %d"
              .formatted(count, 3 * count + 1, state.length));
    }
    System.arraycopy(state, 0, logits, 0, count);
    System.arraycopy(state, count, first, 0, count);
    System.arraycopy(state, 2 * count, second, 0, count);
    steps = (int) state[3 * count];
  }

  private static double sigmoid(double x) {
    return 1 / (1 + StrictMath.exp(-x));
  }
}
