package org.prunepeft.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** Samples that keep the distribution of the targets. */
public final class Stratified {
  private Stratified() {}

  /**
   * Draws without replacement. Of a class with c of the N examples, n·c/N are taken, rounded by the
   * method of largest remainders; of equal remainders the lower label's comes first. The classes of
   * a regression are tenths of the examples, from the lowest targets to the highest.
   *
   * @param examples to draw from
   * @param kind what their targets are
   * @param n how many, 0 to the number of examples
   * @param seed of the draw
   * @return n indices into the examples, ascending
   * @throws IllegalArgumentException if n is out of range
   */
  public static List<Integer> sample(List<Example> examples, TaskKind kind, int n, long seed) {
    if (n < 0 || n > examples.size()) {
      throw new IllegalArgumentException(
          "sample size must be in [0, %d], the number of examples, got %d"
              .formatted(examples.size(), n));
    }
    SortedMap<Integer, List<Integer>> byLabel = new TreeMap<>();
    int[] labels = kind == TaskKind.REGRESSION ? tenths(examples) : labels(examples);
    for (int i = 0; i < examples.size(); i++) {
      byLabel.computeIfAbsent(labels[i], label -> new ArrayList<>()).add(i);
    }
    List<Stratum> strata = new ArrayList<>();
    int left = n;
    for (var entry : byLabel.entrySet()) {
      long product = (long) n * entry.getValue().size();
      int whole = (int) (product / examples.size());
      int[] indices = entry.getValue().stream().mapToInt(Integer::intValue).toArray();
      strata.add(new Stratum(entry.getKey(), indices, whole, product % examples.size()));
      left -= whole;
    }
    // A stable sort of ascending labels: ties stay with the lower label.
    strata.sort(Comparator.comparingLong(Stratum::remainder).reversed());
    List<Integer> sample = new ArrayList<>(n);
    for (int s = 0; s < strata.size(); s++) {
      Stratum stratum = strata.get(s);
      Shuffle.shuffle(stratum.indices, seed, stratum.label);
      int quota = stratum.whole + (s < left ? 1 : 0);
      for (int i = 0; i < quota; i++) {
        sample.add(stratum.indices[i]);
      }
    }
    sample.sort(null);
    return sample;
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

  private record Stratum(int label, int[] indices, int whole, long remainder) {}
}
