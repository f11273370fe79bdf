package org.prunepeft.text;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SpellingTest {
  private static final List<String> KNOWN = List.of("sentence", "label", "Text");

  @Test
  void nearestHasTheFewestEdits() {
    assertEquals(Optional.of("sentence"), Spelling.nearest("sentense", KNOWN));
    assertEquals(Optional.of("label"), Spelling.nearest("labels", KNOWN));
    assertEquals(Optional.of("label"), Spelling.nearest("abel", KNOWN));
  }

  @Test
  void caseDoesNotCount() {
    assertEquals(Optional.of("Text"), Spelling.nearest("TEXT", KNOWN));
    assertEquals(Optional.of("label"), Spelling.nearest("LABLE", KNOWN));
  }

  @Test
  void halfOfTheLettersMayDifferButNotMore() {
    assertEquals(Optional.of("Text"), Spelling.nearest("tent", KNOWN));
    assertEquals(Optional.of("Text"), Spelling.nearest("test", List.of("Text")));
    assertEquals(Optional.of("abcd"), Spelling.nearest("abxy", List.of("abcd")));
    assertEquals(Optional.empty(), Spelling.nearest("axyz", List.of("abcd")));
    assertEquals(Optional.empty(), Spelling.nearest("", KNOWN));
  }

  @Test
  void messageNamesTheNearestAndAll() {
    assertEquals(
        "unknown column 'lable'; did you mean label? Known are sentence, label, Text",
        Spelling.unknown("column", "lable", KNOWN));
    assertEquals(
        "unknown column 'weight'; known are sentence, label, Text",
        Spelling.unknown("column", "weight", KNOWN));
  }

  @Test
  void nameOfMegabytesIsNotCompared() {
    String huge = "x".repeat(10_000_000);
    assertEquals(Optional.empty(), Spelling.nearest(huge, List.of("sentence")));
  }
}
