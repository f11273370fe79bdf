package org.prunepeft.data.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Example;
import org.prunepeft.data.TaskKind;

class StratifiedTest {
  /** Labels 0, 1, 2 for 50, 30 and 20 of 100, mixed. */
  private final List<Example> examples =
      IntStream.range(0, 100)
          .map(i -> i * 37 % 100)
          .mapToObj(i -> new Example("text " + i, null, i < 50 ? 0 : i < 80 ? 1 : 2))
          .toList();

  private long[] counts(List<Integer> sample) {
    long[] counts = new long[3];
    sample.forEach(i -> counts[examples.get(i).label()]++);
    return counts;
  }

  @Test
  void keepsTheDistribution() {
    assertEquals(
        List.of(5L, 3L, 2L),
        boxed(counts(Stratified.sample(examples, TaskKind.CLASSIFICATION, 10, 7))));
  }

  @Test
  void roundsByLargestRemainder() {
    // 6.5, 3.9, 2.6: the last two are rounded up.
    assertEquals(
        List.of(6L, 4L, 3L),
        boxed(counts(Stratified.sample(examples, TaskKind.CLASSIFICATION, 13, 7))));
    // 2.5, 1.5, 1: of the equal remainders the lower label's goes up.
    assertEquals(
        List.of(3L, 1L, 1L),
        boxed(counts(Stratified.sample(examples, TaskKind.CLASSIFICATION, 5, 7))));
  }

  @Test
  void eachClassWithEnoughExamplesHasOneOfEachPart() {
    // 3 of 120 are of label 2: a tenth has none of them by its share.
    List<Example> pool =
        IntStream.range(0, 120)
            .mapToObj(i -> new Example("text " + i, null, i % 40 == 7 ? 2 : i % 2))
            .collect(Collectors.toCollection(ArrayList::new));
    for (int part = 0; part < 2; part++) {
      List<Example> drawn = Stratified.drawEach(pool, TaskKind.CLASSIFICATION, 12, 5, 1);
      assertEquals(12, new HashSet<>(drawn).size());
      assertEquals(1, drawn.stream().filter(example -> example.label() == 2).count());
    }
    assertEquals(1, pool.stream().filter(example -> example.label() == 2).count());
    // The last one is left.
    List<Example> third = Stratified.drawEach(pool, TaskKind.CLASSIFICATION, 12, 5, 1);
    assertEquals(0, third.stream().filter(example -> example.label() == 2).count());
  }

  @Test
  void sharesOfTheOtherClassesAreProportional() {
    SortedMap<Integer, Integer> counts = new TreeMap<>(Map.of(0, 600, 1, 300, 2, 3, 3, 2, 4, 95));
    assertEquals(Map.of(0, 6, 1, 3, 2, 0, 3, 0, 4, 1), Stratified.quotas(counts, 10));
    assertEquals(Map.of(0, 5, 1, 2, 2, 1, 3, 1, 4, 1), Stratified.quotasOfEach(counts, 10, 1));
    assertEquals(Map.of(0, 5, 1, 3, 2, 1, 3, 0, 4, 1), Stratified.quotasOfEach(counts, 10, 2));
    // Fewer than there are classes.
    assertEquals(Stratified.quotas(counts, 4), Stratified.quotasOfEach(counts, 4, 1));
    // By shares the second class gives both that it has.
    SortedMap<Integer, Integer> rare = new TreeMap<>(Map.of(0, 498, 1, 2));
    assertEquals(Map.of(0, 398, 1, 2), Stratified.quotas(rare, 400));
    assertEquals(Map.of(0, 399, 1, 1), Stratified.quotasOfEach(rare, 400, 1));
    assertEquals(Map.of(0, 398, 1, 2), Stratified.quotasOfEach(rare, 400, 0));
    assertEquals(Map.of(0, 498, 1, 2), Stratified.quotasOfEach(rare, 500, 1));
    assertEquals(Map.of(0, 1, 1, 1, 2, 1, 3, 1, 4, 1), Stratified.quotasOfEach(counts, 5, 1));
  }

  @Test
  void drawsWithoutRareClassesAreThoseByShares() {
    for (int n = 5; n < 100; n += 7) {
      List<Example> pool = new ArrayList<>(examples);
      List<Example> same = new ArrayList<>(examples);
      assertEquals(
          Stratified.draw(pool, TaskKind.CLASSIFICATION, n, 3),
          Stratified.drawEach(same, TaskKind.CLASSIFICATION, n, 3, 1));
      assertEquals(pool, same);
    }
  }

  @Test
  void indicesAreDistinctAndAscending() {
    List<Integer> sample = Stratified.sample(examples, TaskKind.CLASSIFICATION, 61, 3);
    assertEquals(61, sample.size());
    assertEquals(new ArrayList<>(new TreeSet<>(sample)), sample);
  }

  @Test
  void seedDecides() {
    List<Integer> sample = Stratified.sample(examples, TaskKind.CLASSIFICATION, 20, 3);
    assertEquals(sample, Stratified.sample(examples, TaskKind.CLASSIFICATION, 20, 3));
    assertNotEquals(sample, Stratified.sample(examples, TaskKind.CLASSIFICATION, 20, 4));
  }

  @Test
  void allAndNoneCanBeDrawn() {
    assertEquals(
        IntStream.range(0, 100).boxed().toList(),
        Stratified.sample(examples, TaskKind.CLASSIFICATION, 100, 1));
    assertEquals(List.of(), Stratified.sample(examples, TaskKind.CLASSIFICATION, 0, 1));
    assertEquals(List.of(), Stratified.sample(List.of(), TaskKind.CLASSIFICATION, 0, 1));
  }

  @Test
  void sizeOutOfRangeIsRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Stratified.sample(examples, TaskKind.CLASSIFICATION, 101, 1));
    assertThrows(
        IllegalArgumentException.class,
        () -> Stratified.sample(examples, TaskKind.CLASSIFICATION, -1, 1));
  }

  @Test
  void regressionIsStratifiedByTenthsOfItsTargets() {
    // Targets −50, −49, ... 49, mixed: a tenth has ten of them.
    List<Example> numbers =
        IntStream.range(0, 100)
            .map(i -> i * 37 % 100)
            .mapToObj(i -> new Example("text " + i, null, i - 50))
            .toList();
    List<Integer> sample = Stratified.sample(numbers, TaskKind.REGRESSION, 30, 5);
    int[] tenths = new int[10];
    sample.forEach(i -> tenths[((int) numbers.get(i).target() + 50) / 10]++);
    assertEquals(List.of(3, 3, 3, 3, 3, 3, 3, 3, 3, 3), Arrays.stream(tenths).boxed().toList());
  }

  private static List<Long> boxed(long[] counts) {
    return Arrays.stream(counts).boxed().toList();
  }
}
