package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class YamlTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @Test
  void whatIsTooLongOrTooDeepIsNotParsed() {
    assertRefused("a: b\n".repeat(1_000_000), "it has 5,000,000 characters, the most is 1,000,000");
    assertRefused("x: " + "a".repeat(60_000), "begins at character 4; the most is 2,000");
    assertRefused("x: " + "[".repeat(60), "nesting depth (51) exceeds the maximum");
  }

  private static void assertRefused(String text, String message) {
    var e = assertThrows(JsonProcessingException.class, () -> Yaml.read(text));
    assertTrue(e.getOriginalMessage().contains(message), e.getOriginalMessage());
  }

  /** Of a long text of each kind, 5 MB of which took 49 GB before. */
  @ParameterizedTest
  @ValueSource(strings = {"a", "1", "a ", "- a\n", "{a: b},", "- &a a\n", "\n", "#\n"})
  void memoryIsBounded(String piece) throws JsonProcessingException {
    String words = (piece.repeat(1_900 / piece.length()) + "\n").repeat(160);
    String text = piece.equals("{a: b},") ? "[" + words.replace("},\n", "},\n ") + "]" : words;
    long before = THREADS.getCurrentThreadAllocatedBytes();
    try {
      Yaml.read(text);
    } catch (JsonProcessingException e) {
      // Not each of them is a document.
    }
    long bytes = THREADS.getCurrentThreadAllocatedBytes() - before;
    assertTrue(bytes < 330_000_000, () -> bytes + " bytes");
  }

  @Test
  void anAliasIsNotWhatItStandsFor() throws JsonProcessingException {
    String laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assertEquals("[\"b\",\"b\"]", Yaml.read(laughs).get("c").toString());
  }
}
