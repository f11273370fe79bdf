package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.prunepeft.search.Errors.assertIllegal;
import static org.prunepeft.search.Errors.assertIllegalMentions;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class PartitioningTest {
  @Test
  void spindleBlocksOfOneTo24Layers() {
    // L/6, L/2 and 5L/6 rounded half up; for 5 layers 0.83, 2.5, 4.17: 1, 3, 4.
    int[][] sizes = {
      {1}, {1, 1}, {1, 1, 1}, {1, 1, 1, 1},
      {1, 2, 1, 1}, {1, 2, 2, 1}, {1, 3, 2, 1}, {1, 3, 3, 1},
      {2, 3, 3, 1}, {2, 3, 3, 2}, {2, 4, 3, 2}, {2, 4, 4, 2},
      {2, 5, 4, 2}, {2, 5, 5, 2}, {3, 5, 5, 2}, {3, 5, 5, 3},
      {3, 6, 5, 3}, {3, 6, 6, 3}, {3, 7, 6, 3}, {3, 7, 7, 3},
      {4, 7, 7, 3}, {4, 7, 7, 4}, {4, 8, 7, 4}, {4, 8, 8, 4}
    };
    for (int layers = 1; layers <= 24; layers++) {
      List<Integer> expected = new ArrayList<>();
      for (int size : sizes[layers - 1]) {
        expected.add(size);
      }
      assertEquals(expected, Partitioning.SPINDLE.blocks(layers).sizes(), layers + " layers");
    }
  }

  @Test
  void quantileBlocksAreCutAt20And50And80PerCent() {
    // 24 layers: 4.8, 12, 19.2.
    assertEquals(List.of(5, 12, 19, 24), Partitioning.QUANTILE.blocks(24).ends());
    // 6 layers: 1.2, 3, 4.8.
    assertEquals(List.of(1, 3, 5, 6), Partitioning.QUANTILE.blocks(6).ends());
    assertEquals(List.of(1, 2, 3), Partitioning.QUANTILE.blocks(3).ends());
  }

  @Test
  void cutsAreRoundedHalfUpForAnyNumberOfLayers() {
    for (int layers = 5; layers <= 200; layers++) {
      List<Integer> spindle =
          List.of(cut(layers, 1, 6), cut(layers, 3, 6), cut(layers, 5, 6), layers);
      List<Integer> quantile =
          List.of(cut(layers, 2, 10), cut(layers, 5, 10), cut(layers, 8, 10), layers);
      assertEquals(spindle, Partitioning.SPINDLE.blocks(layers).ends());
      assertEquals(quantile, Partitioning.QUANTILE.blocks(layers).ends());
    }
  }

  private static int cut(int layers, int numerator, int denominator) {
    return BigDecimal.valueOf((long) layers * numerator)
        .divide(BigDecimal.valueOf(denominator), 0, RoundingMode.HALF_UP)
        .intValueExact();
  }

  @Test
  void theFigureOf24LayersDrawsLayers1To4And5To12And13To20And21To24() {
    Blocks blocks = Partitioning.SPINDLE.blocks(24);
    assertEquals(
        List.of(1, 1, 2, 2, 3, 3, 4, 4),
        List.of(0, 3, 4, 11, 12, 19, 20, 23).stream().map(blocks::blockOf).toList());
    assertIllegal(() -> blocks.blockOf(24), "layer must be from 0 to 23, got 24");
    assertIllegal(() -> blocks.blockOf(-1), "layer must be from 0 to 23, got -1");
  }

  @Test
  void partitionsAreBlocksTimesTypes() {
    assertEquals(
        List.of(
            "adapter/1",
            "adapter/2",
            "adapter/3",
            "adapter/4",
            "lora/1",
            "lora/2",
            "lora/3",
            "lora/4"),
        Partitioning.SPINDLE.partitions(Scores.space(6)).stream()
            .map(Partition::toString)
            .toList());
  }

  @Test
  void aPartitionIsWrittenAsTypeSlashBlock() {
    assertEquals(new Partition("lora", 2), Partition.parse("lora/2"));
    assertEquals("adapter/4", new Partition("adapter", 4).toString());
    for (String text : List.of("lora", "lora/0", "/1", "lora/1/2", "lora/x", "lora/", "")) {
      assertIllegalMentions(() -> Partition.parse(text), "'" + text + "'", "lora/1");
    }
  }

  @Test
  void anUnknownPartitioningIsNamedWithThoseThereAre() {
    assertEquals(Partitioning.QUANTILE, Partitioning.byName("quantile"));
    assertIllegal(
        () -> Partitioning.byName("spindel"),
        "unknown partitioning 'spindel'; did you mean spindle? Known are spindle, quantile");
    assertThrows(IllegalArgumentException.class, () -> Partitioning.SPINDLE.blocks(0));
  }
}
