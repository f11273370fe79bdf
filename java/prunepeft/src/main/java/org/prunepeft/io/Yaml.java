package org.prunepeft.io;

import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.util.Locale;

/**
 * Reads YAML that a person wrote, or a stranger: its length, the length of its words and its depth
 * are bounded. An alias is its name as a text, so that nothing grows by it.
 */
public final class Yaml {
  /** The longest text in characters. */
  public static final int MOST = 1_000_000;

  /** The parser's work grows with the square of a word's length. */
  private static final int LONGEST_WORD = 2_000;

  /** And of a comment's, of spaces in a row and of a line in a block, each of which it copies. */
  private static final int LONGEST_LINE = 100_000;

  private static final int DEEPEST = 50;

  private static final YAMLMapper YAML =
      YAMLMapper.builder(
              YAMLFactory.builder()
                  .enable(YAMLParser.Feature.EMPTY_STRING_AS_NULL)
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(DEEPEST).build())
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Yaml() {}

  /**
   * {@return the one document of a text; missing if there is none}
   *
   * @param text of at most {@value #MOST} characters
   * @throws JsonProcessingException if it is no YAML, has a key twice, or is longer than {@value
   *     #MOST} characters, deeper than 50 levels, or has a word of more than 2,000 or a line of
   *     more than 100,000
   */
  public static JsonNode read(String text) throws JsonProcessingException {
    if (text.length() > MOST) {
      throw new JsonParseException(
          null,
          String.format(
              Locale.ROOT, "it has %,d characters, the most is %,d", text.length(), MOST));
    }
    requireShort(text);
    try {
      return YAML.readTree(text);
    } catch (RuntimeException e) {
      // The parser's own, where a number or a tag is not what it looks like.
      throw new JsonParseException(null, e.toString(), e);
    }
  }

  private static void requireShort(String text) throws JsonParseException {
    int word = 0;
    int line = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      line = c == '\n' || c == '\r' ? i + 1 : line;
      word = isSpace(c) ? i + 1 : word;
      if (i - word == LONGEST_WORD) {
        throw tooLong("word", LONGEST_WORD, word);
      }
      if (i - line == LONGEST_LINE) {
        throw tooLong("line", LONGEST_LINE, line);
      }
    }
  }

  private static JsonParseException tooLong(String part, int most, int begin) {
    return new JsonParseException(
        null,
        String.format(
            Locale.ROOT,
            "a %s of more than %,d characters begins at character %,d; the most is %,d",
            part,
            most,
            begin + 1,
            most));
  }

  /** A space, tab, line break, vertical tab or form feed. */
  private static boolean isSpace(char c) {
    return c == ' ' || c >= '\t' && c <= '\r';
  }
}
