package org.prunepeft.generate.decoding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class TextStreamTest {
  private final List<String> pieces = new ArrayList<>();

  /** Tokens are bytes; as SentencePiece's decoder does, a space at the beginning is taken off. */
  private static String decode(int[] ids) {
    byte[] bytes = new byte[ids.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) ids[i];
    }
    String text = new String(bytes, StandardCharsets.UTF_8);
    return text.startsWith(" ") ? text.substring(1) : text;
  }

  private static int[] ids(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] ids = new int[bytes.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = bytes[i] & 0xff;
    }
    return ids;
  }

  private TextStream stream(String prompt, String... stop) {
    return new TextStream(TextStreamTest::decode, ids(prompt), List.of(stop), pieces::add);
  }

  @Test
  void theFirstSpaceIsPartOfTheText() {
    TextStream stream = stream("Once upon a time");
    for (int id : ids(" there was")) {
      assertFalse(stream.add(id));
    }
    assertEquals(" there was", stream.end());
    assertEquals(" there was", String.join("", pieces));
    assertEquals(10, pieces.size());
  }

  @Test
  void aCharacterComesWhenAllOfItIsThere() {
    TextStream stream = stream("x");
    for (int id : ids("a\u20AC\uD83D\uDE00b")) {
      stream.add(id);
    }
    assertEquals("a\u20AC\uD83D\uDE00b", stream.end());
    assertEquals(List.of("a", "\u20AC", "\uD83D\uDE00", "b"), pieces);
  }

  @Test
  void halfACharacterAtTheEndIsShownAsSuch() {
    TextStream stream = stream("x");
    stream.add('a');
    stream.add(0xE2);
    assertEquals("a\uFFFD", stream.end());
    assertEquals("a\uFFFD", String.join("", pieces));
    assertEquals("a\uFFFD", stream.end());
  }

  @Test
  void aStopTextEndsItAndIsNotShown() {
    TextStream stream = stream("x", "END", "\n\n");
    StringBuilder taken = new StringBuilder();
    boolean stopped = false;
    for (int id : ids("an EN, \nEND of it")) {
      taken.append((char) id);
      stopped = stream.add(id);
      if (stopped) {
        break;
      }
    }
    assertTrue(stopped);
    assertEquals("an EN, \nEND", taken.toString());
    assertEquals("an EN, \n", stream.end());
    assertEquals("an EN, \n", String.join("", pieces));
  }

  @Test
  void aStopTextBeforeHalfACharacterStopsItAtTheEnd() {
    List<String> tokens = List.of("an EN", "D\uFFFD");
    TextStream stream =
        new TextStream(
            ids -> Arrays.stream(ids).mapToObj(tokens::get).collect(Collectors.joining()),
            new int[0],
            List.of("END"),
            pieces::add);
    assertFalse(stream.add(0));
    assertFalse(stream.add(1));
    assertEquals("an ", stream.end());
    assertTrue(stream.stopped());
  }

  @Test
  void whatOnlyBeganAStopTextIsShownAtTheEnd() {
    TextStream stream = stream("x", "END");
    stream.add('a');
    stream.add('E');
    assertEquals(List.of("a"), pieces);
    assertEquals("aE", stream.end());
    assertEquals(List.of("a", "E"), pieces);
  }
}
