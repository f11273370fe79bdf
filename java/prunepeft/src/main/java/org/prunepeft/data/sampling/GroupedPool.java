package org.prunepeft.data.sampling;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.prunepeft.data.Example;

/**
 * Examples in groups whose members are so alike that no two samples may share a group. Samples are
 * drawn one after the other; each has the distribution of classes of all examples.
 */
public final class GroupedPool {
  private final SortedMap<Integer, Integer> counts = new TreeMap<>();
  private final List<List<Example>> groups;

  /**
   * All examples.
   *
   * @param examples by their groups, whose order matters to what is drawn; their targets are
   *     classes
   */
  public GroupedPool(Map<String, List<Example>> examples) {
    groups = new ArrayList<>(new LinkedHashMap<>(examples).values());
    groups.forEach(
        group -> group.forEach(example -> counts.merge(example.label(), 1, Integer::sum)));
  }

  /** Examples of groups that no sample has had a part of. */
  int size() {
    return groups.stream().mapToInt(List::size).sum();
  }

  /** The most examples that {@link #draw} can give now. */
  public int available() {
    SortedMap<Integer, Integer> left = new TreeMap<>();
    groups.forEach(group -> group.forEach(example -> left.merge(example.label(), 1, Integer::sum)));
    int n = size();
    while (!fits(Stratified.quotas(counts, n), left)) {
      n--;
    }
    return n;
  }

  private static boolean fits(Map<Integer, Integer> quotas, Map<Integer, Integer> left) {
    return quotas.entrySet().stream()
        .allMatch(quota -> quota.getValue() <= left.getOrDefault(quota.getKey(), 0));
  }

  /**
   * Draws a sample, in random order. Groups come in random order, and each gives what is still
   * wanted of its classes; one that gave anything is not drawn from again.
   *
   * @param n 0 to {@link #available}
   */
  public List<Example> draw(int n, long seed) {
    SortedMap<Integer, Integer> wanted = Stratified.quotas(counts, n);
    int[] order = IntStream.range(0, groups.size()).toArray();
    Shuffle.shuffle(order, seed, 0);
    List<Example> drawn = new ArrayList<>(n);
    for (int index : order) {
      int before = drawn.size();
      for (Example example : groups.get(index)) {
        if (wanted.get(example.label()) > 0) {
          wanted.merge(example.label(), -1, Integer::sum);
          drawn.add(example);
        }
      }
      if (drawn.size() > before) {
        groups.set(index, List.of());
      }
    }
    groups.removeIf(List::isEmpty);
    int[] shuffled = IntStream.range(0, drawn.size()).toArray();
    Shuffle.shuffle(shuffled, seed, 1);
    return IntStream.of(shuffled).mapToObj(drawn::get).toList();
  }
}
