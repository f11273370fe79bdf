package org.prunepeft.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/** Samples that keep the distribution of the labels. */
public final class Stratified {
  private Stratified() {}

  /**
   * Draws without replacement. Of a class with c of the N examples, n·c/N are taken, rounded by the
   * method of largest remainders; of equal remainders the lower label's comes first.
   *
   * @param examples to draw from
   * @param n how many, 0 to the number of examples
   * @param seed of the draw
   * @return n indices into the examples, ascending
   * @throws IllegalArgumentException if n is out of range
   */
  public static List<Integer> sample(List<Example> examples, int n, long seed) {
    if (n < 0 || n > examples.size()) {
      throw new IllegalArgumentException(
          "sample size must be in [0, %d], the number of examples, got %d"
              .formatted(examples.size(), n));
    }
    SortedMap<Integer, List<Integer>> byLabel = new TreeMap<>();
    for (int i = 0; i < examples.size(); i++) {
      byLabel.computeIfAbsent(examples.get(i).label(), label -> new ArrayList<>()).add(i);
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

  private record Stratum(int label, int[] indices, int whole, long remainder) {}
}
