package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.SplitSizes;

class AcceptabilityTest {
  private static final int UNACCEPTABLE = 8224;
  private static final int ACCEPTABLE = 12_321;
  private static final int RULES = 2256;

  private static final Map<String, List<Example>> SENTENCES = new Acceptability().sentences();

  private final Acceptability task = new Acceptability();
  private final SplitSizes small = new SplitSizes(600, 130, 270);

  private static Stream<Example> all() {
    return SENTENCES.values().stream().flatMap(List::stream);
  }

  private static Map<String, String> ruleOf() {
    Map<String, String> rules = new HashMap<>();
    SENTENCES.forEach((rule, examples) -> examples.forEach(e -> rules.put(e.text(), rule)));
    return rules;
  }

  private static Set<String> rulesOf(List<Example> part) {
    Map<String, String> rules = ruleOf();
    return part.stream().map(example -> rules.get(example.text())).collect(Collectors.toSet());
  }

  /** The expected counts come from a script of a few lines in Python. */
  @Test
  void classesHaveTheirCounts() {
    assertEquals(UNACCEPTABLE, all().filter(example -> example.label() == 0).count());
    assertEquals(ACCEPTABLE, all().filter(example -> example.label() == 1).count());
    assertEquals(RULES, SENTENCES.size());
  }

  @Test
  void knownSentences() {
    Map<String, Integer> labels = new HashMap<>();
    all().forEach(example -> labels.put(example.text(), example.label()));
    assertEquals(0, labels.get("He is than going to school."));
    assertEquals(
        1, labels.get("Better to be hated for who you are than loved for who you're not."));
  }

  @Test
  void groupsMarkersSpacesAndCategoriesAreRead() {
    assertEquals(
        Map.of(
            "AGREEMENT",
            List.of(
                new Example("Anti patterns have acceptable examples.", null, 1),
                new Example("She go to school, & back.", null, 0),
                new Example("She goes to school.", null, 1),
                new Example("We be here.", null, 0)),
            "ALONE",
            List.of(new Example("Them are here.", null, 0))),
        new Acceptability("org/prunepeft/data/task/rules.xml").sentences());
  }

  @Test
  void partsHaveTheirSizesAndShareNoRuleAndNoSentence() {
    Dataset data = task.load(SplitSizes.DEFAULT, 1, 1);
    assertEquals(4000, data.train().size());
    assertEquals(1000, data.validation().size());
    assertEquals(2000, data.test().size());
    Set<String> rules = new HashSet<>();
    Set<String> words = new HashSet<>();
    int ruleCount = 0;
    for (List<Example> part : List.of(data.train(), data.validation(), data.test())) {
      Set<String> own = rulesOf(part);
      ruleCount += own.size();
      rules.addAll(own);
      part.forEach(
          example ->
              assertTrue(
                  words.add(example.text().toLowerCase().replaceAll("[^\\p{L}\\p{N}]+", " ")),
                  example.text()));
    }
    assertEquals(ruleCount, rules.size());
  }

  @Test
  void partsKeepTheDistribution() {
    Dataset data = task.load(SplitSizes.DEFAULT, 3, 3);
    double share = (double) UNACCEPTABLE / (UNACCEPTABLE + ACCEPTABLE);
    for (List<Example> part : List.of(data.train(), data.validation(), data.test())) {
      long own = part.stream().filter(example -> example.label() == 0).count();
      assertEquals(share * part.size(), own, 0.51);
    }
  }

  @Test
  void seedDecidesAndOtherPartsStayIfTheTrainingPartGrows() {
    Dataset data = task.load(small, 1, 1);
    assertEquals(data, new Acceptability().load(small, 1, 1));
    assertNotEquals(data.test(), task.load(small, 2, 2).test());
    Dataset larger = task.load(new SplitSizes(5000, 130, 270), 1, 1);
    assertEquals(data.test(), larger.test());
    assertEquals(data.validation(), larger.validation());
    assertNotEquals(data.train(), larger.train());
  }

  @Test
  void testPartIsTheSameForAllSeedsAndSharesNoRule() {
    Dataset one = task.load(small, 1, 5);
    Dataset other = task.load(small, 2, 5);
    assertEquals(one.test(), other.test());
    assertNotEquals(one.train(), other.train());
    assertNotEquals(one.test(), task.load(small, 1, 6).test());
    assertTrue(Collections.disjoint(rulesOf(other.train()), rulesOf(one.test())));
    assertTrue(Collections.disjoint(rulesOf(other.validation()), rulesOf(one.test())));
  }

  @Test
  void partsAreInRandomOrder() {
    Dataset data = task.load(small, 1, 1);
    assertTrue(rulesOf(data.train().subList(0, 60)).size() > 20);
    long unacceptable =
        data.train().subList(0, 100).stream().filter(example -> example.label() == 0).count();
    assertTrue(unacceptable > 15 && unacceptable < 70, unacceptable + " of 100");
  }

  @Test
  void matthewsCorrelationComesFirst() {
    assertEquals(Metric.MATTHEWS_CORRELATION, task.load(small, 1, 1).schema().primary());
    assertEquals(List.of("unacceptable", "acceptable"), task.load(small, 1, 1).labels());
  }

  @Test
  void asManyAsTheMessageSaysCanBeAskedForButNotMore() {
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> task.load(new SplitSizes(100, 30_000, 100), 1, 1));
    assertTrue(
        e.getMessage()
            .matches("task acceptability has \\d+ validation examples .* 30000 are asked for"),
        e.getMessage());
    int most = Integer.parseInt(e.getMessage().replaceAll("\\D*(\\d+) validation.*", "$1"));
    assertThrows(
        IllegalArgumentException.class, () -> task.load(new SplitSizes(1, most + 1, 100), 1, 1));
    int trained = task.load(new SplitSizes(30_000, 100, 100), 1, 1).train().size();
    assertTrue(trained > 1000 && trained < 30_000, trained + " examples");
    assertEquals(trained, task.load(new SplitSizes(trained, 100, 100), 1, 1).train().size());
  }

  @Test
  void missingAndDamagedFilesAreNamedWithARemedy() {
    assertFault("no/such/grammar.xml", "(no/such/grammar.xml) is not on the class path");
    assertFault(
        "org/prunepeft/data/task/cut.noun", "cut.noun is damaged: line 1 is not understood");
    assertFault(
        "org/languagetool/resource/en/tagset.txt",
        "tagset.txt is damaged: line 1 is not understood");
    assertFault(
        "META-INF/maven/org.languagetool/language-en/pom.xml",
        "pom.xml is damaged: it has no unacceptable sentence");
  }

  private static void assertFault(String resource, String message) {
    DataException e =
        assertThrows(DataException.class, () -> new Acceptability(resource).sentences());
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertTrue(
        e.getMessage().contains("put org.languagetool:language-en:6.8 from Maven Central"),
        e.getMessage());
  }

  /**
   * It may be of a jar of another name, whose author wants to know who reads it, or what is here.
   */
  @Test
  void whatADoctypeNamesIsNotRead(@TempDir Path temporary) throws IOException {
    Path named = Files.writeString(temporary.resolve("named.dtd"), "<!ENTITY not well-formed");
    String examples =
        "<r><rule id='R'><example correction='x'>a</example><example>b</example></rule></r>";
    for (String doctype :
        List.of(
            "<!DOCTYPE r SYSTEM '%s'>",
            "<!DOCTYPE r [<!ENTITY %% p SYSTEM '%s'> %%p;]>",
            "<!DOCTYPE r [<!ENTITY p SYSTEM '%s'>]>")) {
      String file = doctype.formatted(named.toUri()) + examples.replace("b<", "b &p;<");
      assertEquals(1, JarData.ruleExamples(file.getBytes(StandardCharsets.UTF_8)), file);
    }
  }
}
