package org.prunepeft.data.sampling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import org.prunepeft.data.Example;
import org.prunepeft.data.TaskKind;

/** Samples that keep the distribution of the targets. */
public final class Stratified {
  private Stratified() {}

  /** How many of each class a sample of n has, by how many of each there are. */
  private interface Quotas {
    SortedMap<Integer, Integer> quotas(SortedMap<Integer, Integer> counts, int n);
  }

  /**
   * Draws without replacement. Of a class with c of the N examples, n·c/N are taken, rounded by the
   * method of largest remainders; of equal remainders the lower label's comes first. The classes of
   * a regression are tenths of the examples, from the lowest targets to the highest; a language
   * model's texts are all of one.
   *
   * @param examples to draw from
   * @param kind what their targets are
   * @param n how many, 0 to the number of examples
   * @param seed of the draw
   * @return n indices into the examples, ascending
   * @throws IllegalArgumentException if n is out of range
   */
  public static List<Integer> sample(List<Example> examples, TaskKind kind, int n, long seed) {
    return sample(examples, kind, n, seed, Stratified::quotas);
  }

  /** With n of each class as a function of the classes' counts says. */
  private static List<Integer> sample(
      List<Example> examples, TaskKind kind, int n, long seed, Quotas of) {
    if (n < 0 || n > examples.size()) {
      throw new IllegalArgumentException(
          "sample size must be in [0, %d], the number of examples, got %d"
              .formatted(examples.size(), n));
    }
    SortedMap<Integer, List<Integer>> byLabel = new TreeMap<>();
    int[] labels =
        switch (kind) {
          case CLASSIFICATION -> labels(examples);
          case REGRESSION -> tenths(examples);
          case LANGUAGE_MODELING -> new int[examples.size()];
        };
    for (int i = 0; i < examples.size(); i++) {
      byLabel.computeIfAbsent(labels[i], label -> new ArrayList<>()).add(i);
    }
    SortedMap<Integer, Integer> counts = new TreeMap<>();
    byLabel.forEach((label, indices) -> counts.put(label, indices.size()));
    SortedMap<Integer, Integer> quotas = of.quotas(counts, n);
    List<Integer> sample = new ArrayList<>(n);
    byLabel.forEach(
        (label, members) -> {
          int[] indices = members.stream().mapToInt(Integer::intValue).toArray();
          Shuffle.shuffle(indices, seed, label);
          Arrays.stream(indices, 0, quotas.get(label)).forEach(sample::add);
        });
    sample.sort(null);
    return sample;
  }

  /**
   * The same of examples that are all alike.
   *
   * @param examples how many there are
   */
  public static List<Integer> sample(int examples, int n, long seed) {
    List<Example> alike = Collections.nCopies(examples, new Example("", null));
    return sample(alike, TaskKind.LANGUAGE_MODELING, n, seed);
  }

  /**
   * Moves a sample out of a list, which keeps the rest in its order.
   *
   * @param pool to draw from; changed
   * @return the sample in random order
   */
  public static List<Example> draw(List<Example> pool, TaskKind kind, int n, long seed) {
    return draw(pool, sample(pool, kind, n, seed), seed);
  }

  /**
   * The same, with at least one example of each class that has enough of them, if n is not smaller
   * than the number of such classes; what is left of n is shared out proportionally. Where each
   * such class has its one by its share anyway, these are the examples of {@link #draw}.
   *
   * @param pool to draw from; changed
   * @param left how many examples of such a class are left in the pool, 0 or more
   * @return the sample in random order
   */
  static List<Example> drawEach(List<Example> pool, TaskKind kind, int n, long seed, int left) {
    return kind == TaskKind.CLASSIFICATION
        ? draw(
            pool,
            sample(pool, kind, n, seed, (counts, size) -> quotasOfEach(counts, size, left)),
            seed)
        : draw(pool, kind, n, seed);
  }

  private static List<Example> draw(List<Example> pool, List<Integer> sample, long seed) {
    int[] indices = sample.stream().mapToInt(Integer::intValue).toArray();
    Set<Integer> drawn = new HashSet<>();
    Arrays.stream(indices).forEach(drawn::add);
    // Labels are streams of the seed in sampling, and they are not negative.
    Shuffle.shuffle(indices, seed, -1);
    List<Example> examples = Arrays.stream(indices).mapToObj(pool::get).toList();
    List<Example> rest =
        IntStream.range(0, pool.size())
            .filter(i -> !drawn.contains(i))
            .mapToObj(pool::get)
            .toList();
    pool.clear();
    pool.addAll(rest);
    return examples;
  }

  /**
   * How many of each class a sample has; see {@link #sample}.
   *
   * @param counts of the classes
   * @param n size of the sample, 0 or more
   */
  static SortedMap<Integer, Integer> quotas(SortedMap<Integer, Integer> counts, int n) {
    long all = counts.values().stream().mapToLong(Integer::longValue).sum();
    SortedMap<Integer, Integer> quotas = new TreeMap<>();
    counts.forEach((label, count) -> quotas.put(label, (int) ((long) n * count / all)));
    int left = n - quotas.values().stream().mapToInt(Integer::intValue).sum();
    // A stable sort of ascending labels: ties stay with the lower label.
    counts.keySet().stream()
        .sorted(
            Comparator.comparingLong((Integer label) -> (long) n * counts.get(label) % all)
                .reversed())
        .limit(left)
        .forEach(label -> quotas.merge(label, 1, Integer::sum));
    return quotas;
  }

  /** With one at least of each class that has more than are to be left; see {@link #drawEach}. */
  static SortedMap<Integer, Integer> quotasOfEach(
      SortedMap<Integer, Integer> counts, int n, int left) {
    SortedMap<Integer, Integer> ones = new TreeMap<>();
    SortedMap<Integer, Integer> others = new TreeMap<>(counts);
    SortedMap<Integer, Integer> quotas = quotas(counts, n);
    if (counts.values().stream().filter(count -> count > left).count() > n) {
      return quotas;
    }
    // Who gets one takes it from the others' shares, of which another may fall to none.
    for (boolean changed = true; changed; ) {
      List<Integer> without =
          others.keySet().stream()
              .filter(label -> quotas.get(label) == 0 && counts.get(label) > left)
              .toList();
      without.forEach(
          label -> {
            others.remove(label);
            ones.put(label, 1);
          });
      changed = !without.isEmpty();
      quotas.putAll(others.isEmpty() ? ones : quotas(others, n - ones.size()));
    }
    quotas.putAll(ones);
    leave(counts, quotas, left);
    return quotas;
  }

  /** Has classes give what is to be left of them to those that have more, by their shares. */
  private static void leave(
      SortedMap<Integer, Integer> counts, SortedMap<Integer, Integer> quotas, int left) {
    int n = quotas.values().stream().mapToInt(Integer::intValue).sum();
    int total = counts.values().stream().mapToInt(Integer::intValue).sum();
    ToIntFunction<Integer> room =
        label -> counts.get(label) - (counts.get(label) > left ? left : 0) - quotas.get(label);
    if (counts.keySet().stream().mapToInt(room).sum() < 0) {
      return;
    }
    int excess = 0;
    for (int label : counts.keySet()) {
      int over = Math.max(0, -room.applyAsInt(label));
      quotas.merge(label, -over, Integer::sum);
      excess += over;
    }
    for (; excess > 0; excess--) {
      int next =
          counts.keySet().stream()
              .filter(label -> room.applyAsInt(label) > 0)
              .max(
                  Comparator.comparingDouble(
                          (Integer label) ->
                              (double) n * counts.get(label) / total - quotas.get(label))
                      .thenComparing(Comparator.reverseOrder()))
              .orElseThrow();
      quotas.merge(next, 1, Integer::sum);
    }
  }

  private static int[] labels(List<Example> examples) {
    return examples.stream().mapToInt(Example::label).toArray();
  }

  /** Of equal targets, those that come first are lower. */
  private static int[] tenths(List<Example> examples) {
    List<Integer> order =
        IntStream.range(0, examples.size())
            .boxed()
            .sorted(Comparator.comparingDouble((Integer i) -> examples.get(i).target()))
            .toList();
    int[] tenths = new int[examples.size()];
    for (int rank = 0; rank < tenths.length; rank++) {
      tenths[order.get(rank)] = (int) (10L * rank / tenths.length);
    }
    return tenths;
  }
}
