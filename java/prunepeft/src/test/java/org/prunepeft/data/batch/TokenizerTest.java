package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.testing.EndedProcess;

class TokenizerTest {
  @Test
  void encodesWithoutPadding() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(256)) {
      Encoding encoding = tokenizer.encode("Hello, world!", null);
      assertArrayEquals(new int[] {101, 7592, 1010, 2088, 999, 102}, encoding.ids());
      assertArrayEquals(new int[6], encoding.types());
    }
  }

  @Test
  void secondTextOfAPairHasTypeOne() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(256)) {
      Encoding encoding = tokenizer.encode("Hello", "world!");
      assertArrayEquals(new int[] {101, 7592, 102, 2088, 999, 102}, encoding.ids());
      assertArrayEquals(new int[] {0, 0, 0, 1, 1, 1}, encoding.types());
    }
  }

  @Test
  void truncatesAtTheGivenLengthAndKeepsTheLastSeparator() {
    for (int length : new int[] {8, 13, 200, 600}) {
      try (Tokenizer tokenizer = MiniLm.tokenizer(length)) {
        int[] ids = tokenizer.encode("world ".repeat(1000), null).ids();
        assertEquals(length, ids.length);
        assertEquals(102, ids[length - 1]);
      }
    }
  }

  @Test
  void truncatesTheLongerOfAPairFirst() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(9)) {
      Encoding encoding = tokenizer.encode("hello", "world ".repeat(30));
      assertArrayEquals(
          new int[] {101, 7592, 102, 2088, 2088, 2088, 2088, 2088, 102}, encoding.ids());
    }
  }

  @Test
  void emptyTextIsOnlySpecialTokens() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(16)) {
      assertArrayEquals(new int[] {101, 102}, tokenizer.encode("", null).ids());
    }
  }

  @Test
  void manyAtOnceAreEncodedAsOneByOne() {
    List<Example> examples =
        List.of(
            new Example("Hello, world!", null, 0),
            new Example("a pair", "of texts, the second longer", 1),
            new Example("naïve 東京 🙂", null, 0),
            new Example("another", "pair", 1));
    try (Tokenizer tokenizer = MiniLm.tokenizer(12)) {
      List<Encoding> encodings = tokenizer.encode(examples);
      for (int i = 0; i < examples.size(); i++) {
        Example example = examples.get(i);
        Encoding alone = tokenizer.encode(example.text(), example.pair());
        assertArrayEquals(alone.ids(), encodings.get(i).ids());
        assertArrayEquals(alone.types(), encodings.get(i).types());
      }
    }
  }

  @Test
  void tenMegabytesAreCutToTheLongestLength() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(128)) {
      for (String word : new String[] {"world ", "w", "東", "\0", "🙂", " "}) {
        String text = word.repeat(10_000_000 / word.length());
        Example example = new Example(text, text, 0);
        assertTrue(tokenizer.encode(text, null).ids().length <= 128);
        assertTrue(tokenizer.encode(List.of(example)).get(0).ids().length <= 128);
      }
    }
  }

  @Test
  void nulAndUnpairedSurrogatesAreReadAsTheReplacementCharacter() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(16)) {
      int[] expected = tokenizer.encode("left \uFFFD right", null).ids();
      for (String bad : new String[] {"\0", "\uD83D", "\uDE42"}) {
        assertArrayEquals(expected, tokenizer.encode("left " + bad + " right", null).ids());
      }
      assertArrayEquals(
          tokenizer.encode("left\uFFFD", null).ids(), tokenizer.encode("left\uD83D", null).ids());
      assertArrayEquals(
          tokenizer.encode("\uFFFD\uFFFDleft", null).ids(),
          tokenizer.encode("\uDE42\uD83Dleft", null).ids());
    }
  }

  @Test
  void surrogatePairAtTheCutIsNotTornApart() {
    try (Tokenizer tokenizer = MiniLm.tokenizer(8)) {
      int read = 64 * 8;
      String word = "a" + " ".repeat(read - 2);
      int[] whole = tokenizer.encode("a 🙂", null).ids();
      assertArrayEquals(whole, tokenizer.encode(word + "🙂🙂🙂", null).ids());
      assertArrayEquals(
          tokenizer.encode("a", null).ids(), tokenizer.encode(word + " 🙂🙂", null).ids());
    }
  }

  @Test
  void loadingTurnsDownloadsAndTelemetryOff() {
    MiniLm.tokenizer(16).close();
    assertTrue(ai.djl.util.Utils.isOfflineMode());
    assertEquals("true", System.getProperty("OPT_OUT_TRACKING"));
  }

  @Test
  void theContextClassLoaderNeedNotKnowTheLibraryAndASecondOneIsToldToShareIt() throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
                System.getProperty("java.home") + "/bin/java",
                "-Xmx256m",
                "-XX:+UseSerialGC",
                IsolatedTokenizer.class.getName())
            .redirectError(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("CLASSPATH", System.getProperty("java.class.path"));
    List<String> lines = EndedProcess.of(builder, Duration.ofMinutes(5)).text().lines().toList();
    assertEquals(
        Arrays.toString(
            new int[] {
              CharacterTokenizer.START, CharacterTokenizer.id('a'), CharacterTokenizer.id('b')
            }),
        lines.get(0));
    assertEquals("true", lines.get(1));
    assertTrue(lines.get(2).contains("a class loader that all applications share"), lines.get(2));
    assertEquals("true", lines.get(3));
  }

  @Test
  void damagedFileIsNamed() {
    byte[] json = "{\"version\": ".getBytes(StandardCharsets.UTF_8);
    DataException e = assertThrows(DataException.class, () -> Tokenizer.of(json, 16));
    assertTrue(e.getMessage().startsWith("tokenizer.json (12 bytes)"), e.getMessage());
  }

  @Test
  void lengthWithoutRoomForSpecialTokensIsRefused() {
    byte[] json = MiniLm.tokenizerJson();
    assertThrows(IllegalArgumentException.class, () -> Tokenizer.of(json, 7));
  }

  @Test
  void closedTokenizerIsRefused() {
    Tokenizer tokenizer = MiniLm.tokenizer(16);
    tokenizer.close();
    tokenizer.close();
    assertThrows(IllegalStateException.class, () -> tokenizer.encode("hello", null));
  }
}
