package org.prunepeft.generate.decoding;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.GenerationSettingsBuilder;
import org.prunepeft.testing.TestSeed;

class SamplerTest {
  /** Of probabilities 0.1, 0.4, 0.2, 0.3. */
  private static final float[] LOGITS = {
    (float) Math.log(0.1) + 5,
    (float) Math.log(0.4) + 5,
    (float) Math.log(0.2) + 5,
    (float) Math.log(0.3) + 5
  };

  private static final int DRAWS = 20_000;

  private static int[] draw(GenerationSettings settings, int prompt, int count) {
    Sampler sampler = new Sampler(settings, prompt);
    return IntStream.range(0, count).map(i -> sampler.next(LOGITS)).toArray();
  }

  @Test
  void withoutTemperatureTheMostProbableIsTaken() {
    assertArrayEquals(new int[] {1, 1, 1}, draw(GenerationSettings.DEFAULT, 0, 3));
    float[] equal = {1, 2, 2};
    assertEquals(1, new Sampler(GenerationSettings.DEFAULT, 0).next(equal));
  }

  @ParameterizedTest
  @CsvSource({
    "1, 0, 1, 0.1 0.4 0.2 0.3",
    "0.5, 0, 1, 0.0333 0.5333 0.1333 0.3",
    "1, 2, 1, 0 0.5714 0 0.4286",
    "1, 0, 0.65, 0 0.5714 0 0.4286",
    "1, 0, 0.75, 0 0.4444 0.2222 0.3333",
    "1, 3, 0.5, 0 0.5714 0 0.4286",
    "1, 0, 0.01, 0 1 0 0"
  })
  void drawsHaveTheirProbabilities(double temperature, int topK, double topP, String shares) {
    GenerationSettings settings =
        GenerationSettings.builder()
            .temperature(temperature)
            .topK(topK)
            .topP(topP)
            .seed(TestSeed.draw())
            .build();
    int[] counts = new int[LOGITS.length];
    for (int id : draw(settings, 0, DRAWS)) {
      counts[id]++;
    }
    String[] expected = shares.split(" ");
    for (int id = 0; id < counts.length; id++) {
      // Five standard deviations of a share of one half.
      double share = Double.parseDouble(expected[id]);
      assertEquals(share, (double) counts[id] / DRAWS, share == 0 ? 0 : 2.5 / Math.sqrt(DRAWS));
    }
  }

  /** Against all tokens sorted, with many ties. */
  @Test
  void fewOfManyTokensAreTheMostProbableOnes() {
    Random random = TestSeed.random();
    float[] logits = new float[2000];
    for (int id = 0; id < logits.length; id++) {
      logits[id] = (random.nextInt(400) - 300) / 40f;
    }
    List<Integer> sorted =
        IntStream.range(0, logits.length)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer id) -> -logits[id]))
            .toList();
    int most = 1 + random.nextInt(50);
    double share = 0.2 + 0.7 * random.nextDouble();
    double all = sorted.stream().mapToDouble(id -> Math.exp(logits[id])).sum();
    double sum = 0;
    int nucleus = 0;
    while (sum < share * all) {
      sum += Math.exp(logits[sorted.get(nucleus++)]);
    }
    GenerationSettings settings =
        GenerationSettings.builder().temperature(1).seed(TestSeed.draw()).build();
    assertDrawn(Set.copyOf(sorted.subList(0, most)), settings.withTopK(most), logits);
    assertDrawn(Set.copyOf(sorted.subList(0, nucleus)), settings.withTopP(share), logits);
  }

  /** Those that may be drawn, and of these the first. */
  private static void assertDrawn(Set<Integer> ids, GenerationSettings settings, float[] logits) {
    Sampler sampler = new Sampler(settings, 0);
    Set<Integer> drawn = new HashSet<>();
    for (int i = 0; i < 3000; i++) {
      drawn.add(sampler.next(logits));
    }
    assertTrue(ids.containsAll(drawn), () -> drawn + " of " + ids);
    // The least probable is at least a thirtieth of the most probable's weight in fifty tokens.
    assertTrue(ids.size() > 50 || drawn.equals(ids), () -> drawn + " of " + ids);
  }

  @Test
  void drawsFollowFromSeedAndPrompt() {
    GenerationSettings settings = GenerationSettings.builder().temperature(1).seed(3).build();
    assertArrayEquals(draw(settings, 1, 100), draw(settings, 1, 100));
    assertNotEquals(
        List.of(IntStream.of(draw(settings, 1, 100)).boxed().toList()),
        List.of(IntStream.of(draw(settings, 2, 100)).boxed().toList()));
  }

  @Test
  void settingsOutOfRangeAreNamed() {
    assertRefused("max new tokens must be at least 1, got 0", b -> b.maxNewTokens(0));
    assertRefused("top-k must be 0, for all, or more, got -1", b -> b.topK(-1));
    assertRefused("top-p must be in (0, 1], got 0.0", b -> b.topP(0));
    assertRefused(
        "temperature must be 0 or more, got -1.0; 0 takes the most probable token",
        b -> b.temperature(-1));
    assertRefused("a text at which generation stops must not be empty", b -> b.stop(List.of("")));
  }

  private static void assertRefused(
      String message, UnaryOperator<GenerationSettingsBuilder> change) {
    GenerationSettingsBuilder builder = change.apply(GenerationSettings.builder());
    assertEquals(
        message, assertThrows(IllegalArgumentException.class, builder::build).getMessage());
  }
}
