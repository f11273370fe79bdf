package org.prunepeft.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.batch.MiniLm;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.FormatException;

/** A tokenizer.json made of vocab.txt, beside the one that MiniLM, of the same words, came with. */
class WordPieceVocabularyTest {
  private static byte[] vocabulary() throws IOException {
    JsonNode words = new ObjectMapper().readTree(MiniLm.tokenizerJson()).at("/model/vocab");
    String[] lines = new String[words.size()];
    words.properties().forEach(word -> lines[word.getValue().asInt()] = word.getKey());
    return (String.join("\n", lines) + "\n").getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void encodesAsTheModelsOwnTokenizer() throws IOException {
    byte[] made = new WordPieceVocabulary(vocabulary()).tokenizerJson(true, null, true);
    try (Tokenizer ours = Tokenizer.of(made, 64);
        Tokenizer theirs = MiniLm.tokenizer(64)) {
      for (String text :
          List.of(
              "Hello, world!",
              "",
              "Où est la bibliothèque? 42 ½ € — naïve façade",
              "unaffable antidisestablishmentarianism",
              "東京は日本の首都です",
              "[MASK] is [UNK]\tof\u0000 \u200b[SEP] x",
              "a".repeat(101),
              "🙂 İstanbul ß ﬁ")) {
        for (String pair : new String[] {null, "and another"}) {
          assertArrayEquals(theirs.encode(text, pair).ids(), ours.encode(text, pair).ids(), text);
          assertArrayEquals(
              theirs.encode(text, pair).types(), ours.encode(text, pair).types(), text);
        }
      }
    }
  }

  @Test
  void casedVocabulariesKeepCaseAndAccents() throws IOException {
    byte[] words =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\nparis\nété\nete\r\n"
            .getBytes(StandardCharsets.UTF_8);
    WordPieceVocabulary vocabulary = new WordPieceVocabulary(words);
    try (Tokenizer cased = Tokenizer.of(vocabulary.tokenizerJson(false, null, true), 16);
        Tokenizer uncased = Tokenizer.of(vocabulary.tokenizerJson(true, null, true), 16);
        Tokenizer accents = Tokenizer.of(vocabulary.tokenizerJson(true, false, true), 16)) {
      assertArrayEquals(new int[] {2, 5, 7, 3}, cased.encode("Paris été", null).ids());
      assertArrayEquals(new int[] {2, 6, 8, 3}, uncased.encode("Paris été", null).ids());
      assertArrayEquals(new int[] {2, 6, 7, 3}, accents.encode("Paris Été", null).ids());
    }
  }

  @Test
  void aVocabularyThatIsNotBertsIsRefused() {
    refused("[PAD]\n[UNK]\na\nb\na\n", "'a' twice, in lines 3 and 5");
    refused("a\nb\n", "no token [PAD]");
    var e =
        assertThrows(
            FormatException.class, () -> new WordPieceVocabulary(new byte[] {(byte) 0xff}));
    assertTrue(e.getMessage().contains("UTF-8"), e.getMessage());
  }

  private static void refused(String text, String message) {
    var e =
        assertThrows(
            FormatException.class,
            () -> new WordPieceVocabulary(text.getBytes(StandardCharsets.UTF_8)));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }
}
