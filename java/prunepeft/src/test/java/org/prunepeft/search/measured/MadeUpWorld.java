package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.hipparchus.distribution.continuous.NormalDistribution;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/**
 * A supernet whose modules' worth is known, measured on examples that differ in difficulty and in
 * how much each module does for them.
 *
 * <p>An example's value is its difficulty, plus for each module what it is worth on average and for
 * this example, plus what pairs add, plus a remainder. In a world of right and wrong answers the
 * answer is right where this is above zero, and may be chosen by or the value itself.
 */
final class MadeUpWorld implements SubsetMeasurer {
  static final double DIFFICULTY = 1;

  final SearchSpace space;
  final double[] worth;
  final Map<List<Integer>, Double> pairs = new HashMap<>();
  private final Map<Candidate, Integer> numbers = new HashMap<>();
  private final boolean answers;

  /** Whether subsets are chosen by the values that answers come from. */
  boolean scored;

  private final double exampleEffect;
  private final double remainder;
  private final double[] difficulty;
  private final float[][] effects;
  private final long seed;
  final List<List<Candidate>> asked = new ArrayList<>();

  /**
   * @param space the modules
   * @param worth of each on average
   * @param examples how many are held out
   * @param exampleEffect deviation of a module's effect between examples
   * @param remainder deviation of what is left, independent between subsets
   * @param answers whether values are right and wrong answers
   */
  MadeUpWorld(
      SearchSpace space,
      double[] worth,
      int examples,
      double exampleEffect,
      double remainder,
      boolean answers,
      Random random) {
    this.space = space;
    this.worth = worth;
    this.answers = answers;
    this.exampleEffect = exampleEffect;
    this.remainder = remainder;
    difficulty = new double[examples];
    effects = new float[worth.length][examples];
    for (int e = 0; e < examples; e++) {
      difficulty[e] = DIFFICULTY * random.nextGaussian();
      for (int i = 0; i < worth.length; i++) {
        effects[i][e] = (float) (exampleEffect * random.nextGaussian());
      }
    }
    seed = random.nextLong();
    for (int i = 0; i < worth.length; i++) {
      numbers.put(space.candidates().get(i), i);
    }
  }

  /** With layers of a LoRA module and an adapter each, and examples as different as usual. */
  static MadeUpWorld of(
      int layers, ToDoubleArray worth, int examples, boolean answers, Random random) {
    SearchSpace space = space(layers);
    return new MadeUpWorld(
        space, worth.of(space.candidates()), examples, 0.2, 0.3, answers, random);
  }

  /** What modules are worth. */
  @FunctionalInterface
  interface ToDoubleArray {
    double[] of(List<Candidate> modules);
  }

  /** Layers with a LoRA module of 10 parameters and an adapter of 20 each. */
  static SearchSpace space(int layers) {
    List<Candidate> modules = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      modules.add(new Candidate("adapter." + layer, layer, Candidate.ADAPTER, 20));
      modules.add(new Candidate("lora." + layer, layer, Candidate.LORA, 10));
    }
    return new SearchSpace(layers, modules);
  }

  private double latent(Collection<Candidate> subset) {
    double sum = 0;
    for (Candidate module : subset) {
      sum += worth[numbers.get(module)];
    }
    for (Map.Entry<List<Integer>, Double> pair : pairs.entrySet()) {
      if (pair.getKey().stream().allMatch(i -> subset.contains(space.candidates().get(i)))) {
        sum += pair.getValue();
      }
    }
    return sum;
  }

  /** The metric that a subset has over all examples that there may be. */
  double truth(Collection<Candidate> subset) {
    double latent = latent(subset);
    if (!answers) {
      return latent;
    }
    double variance =
        DIFFICULTY * DIFFICULTY
            + exampleEffect * exampleEffect * subset.size()
            + remainder * remainder;
    return new NormalDistribution().cumulativeProbability(latent / Math.sqrt(variance));
  }

  @Override
  public Measurements measure(List<List<Candidate>> subsets) {
    float[][] values = new float[subsets.size()][difficulty.length];
    float[][] metric = new float[subsets.size()][difficulty.length];
    for (int s = 0; s < values.length; s++) {
      List<Candidate> subset = subsets.get(s);
      asked.add(subset);
      double latent = latent(subset);
      int[] members = subset.stream().mapToInt(numbers::get).toArray();
      // The same subset has the same values whenever it is measured.
      Random random = new Random(seed ^ subset.hashCode());
      for (int e = 0; e < difficulty.length; e++) {
        double value = latent + difficulty[e] + remainder * random.nextGaussian();
        for (int i : members) {
          value += effects[i][e];
        }
        values[s][e] = (float) value;
        metric[s][e] = answers ? value > 0 ? 1 : 0 : values[s][e];
      }
    }
    return scored ? new Measurements(values, metric) : Measurements.of(metric);
  }
}
