package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DepthTest {
  private static List<String> names(int... layers) {
    return IntStream.of(layers).mapToObj(layer -> "encoder.layer." + layer + ".lora").toList();
  }

  /** Layer 3 of 4 covers the depth from 0.75 to 1. */
  @ParameterizedTest
  @CsvSource({
    "4, 3, 8, '6 7'",
    "4, 3, 6, '4 5'",
    "4, 2, 6, '3'",
    "12, 0, 4, '0'",
    "12, 5, 4, '1'",
    "12, 11, 4, '3'",
    "6, 2, 6, '2'",
    "4, 3, 1, '0'"
  })
  void modulesLieAtTheSameShareOfTheDepth(int from, int layer, int to, String expected) {
    int[] layers = List.of(expected.split(" ")).stream().mapToInt(Integer::parseInt).toArray();
    assertEquals(names(layers), new Depth(from, true).names(names(layer), to));
  }

  @Test
  void noLayerIsLeftOutAndNoneIsThereTwice() {
    for (int from = 1; from <= 24; from++) {
      for (int to = 1; to <= 24; to++) {
        int[] all = IntStream.range(0, from).toArray();
        List<String> mapped = new Depth(from, true).names(names(all), to);
        assertEquals(names(IntStream.range(0, to).toArray()), mapped);
      }
    }
  }

  @Test
  void anotherDepthIsRefusedUnlessAskedFor() {
    Depth depth = new Depth(12, false);
    assertEquals(names(3, 9), depth.names(names(3, 9), 12));
    assertThrows(IllegalArgumentException.class, () -> depth.names(names(3, 9), 6));
  }
}
