package org.prunepeft.data.batch;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.util.PairList;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.text.NativeLibraries;

/**
 * Turns texts into token ids as a model's {@code tokenizer.json} says, by Hugging Face's own
 * library. Special tokens are added; what the file says about padding and truncation is overridden.
 *
 * <p>The file is checked before the library reads it ({@link TokenizerFile}).
 *
 * <p>Any text is taken: of a long one only the first 64 characters a token of the maximum length
 * are looked at (16 for each text of a pair), 1,000,000 at most, and what UTF-8 or a C string
 * cannot hold, unpaired surrogates and NUL, is read as the replacement character U+FFFD.
 *
 * <p>Nothing is downloaded or reported to anybody: loading this class sets the system properties
 * {@code ai.djl.offline} and {@code OPT_OUT_TRACKING} of Deep Java Library to true, unless they are
 * set. The native library comes out of its archive into {@code ~/.djl.ai}, or where the environment
 * variable {@code DJL_CACHE_DIR} points.
 *
 * <p>May be used by several threads at once. The owner closes it, which frees native memory.
 */
public final class Tokenizer implements AutoCloseable {
  /** Room for the special tokens of a pair of texts and some text. */
  private static final int SHORTEST = 8;

  /** Far more than a token of natural language has, so that only what would be cut goes unread. */
  private static final int CHARACTERS_PER_TOKEN = 64;

  /**
   * The same for each text of a pair. The library builds an encoding of every cut-off piece of one
   * with every piece of the other, so its time grows with the product of the lengths.
   */
  private static final int CHARACTERS_PER_TOKEN_OF_PAIR = 16;

  private static final char REPLACEMENT = '\uFFFD';

  static {
    setUnlessSet("ai.djl.offline");
    setUnlessSet("OPT_OUT_TRACKING");
  }

  private final HuggingFaceTokenizer tokenizer;
  private final int maxLength;

  private Tokenizer(HuggingFaceTokenizer tokenizer, int maxLength) {
    this.tokenizer = tokenizer;
    this.maxLength = maxLength;
  }

  /**
   * A tokenizer.
   *
   * @param tokenizerJson content of a {@code tokenizer.json}
   * @param maxLength tokens that an encoding has at most, special ones included; 8 or more
   * @throws IllegalArgumentException if maxLength is out of range
   * @throws DataException if the content is not understood, or the native library not loaded
   */
  public static Tokenizer of(byte[] tokenizerJson, int maxLength) {
    return of(tokenizerJson, maxLength, false);
  }

  /**
   * A tokenizer that also reads tokens as texts: {@link #decode}.
   *
   * @param tokenizerJson content of a {@code tokenizer.json}
   * @param maxLength tokens that an encoding has at most, special ones included; 8 or more
   * @throws IllegalArgumentException if maxLength is out of range
   * @throws DataException if the content is not understood, or the native library not loaded
   */
  public static Tokenizer decoding(byte[] tokenizerJson, int maxLength) {
    return of(tokenizerJson, maxLength, true);
  }

  private static Tokenizer of(byte[] tokenizerJson, int maxLength, boolean decoding) {
    if (maxLength < SHORTEST) {
      throw new IllegalArgumentException(
          "maximum length must be at least %d tokens, got %d".formatted(SHORTEST, maxLength));
    }
    String length = Integer.toString(maxLength);
    Map<String, String> options =
        Map.of(
            "padding",
            "false",
            "truncation",
            "true",
            "maxLength",
            length,
            "modelMaxLength",
            length);
    Thread thread = Thread.currentThread();
    ClassLoader context = thread.getContextClassLoader();
    try {
      // With it the library looks for its own properties, when it is first used.
      thread.setContextClassLoader(HuggingFaceTokenizer.class.getClassLoader());
      return new Tokenizer(
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(
                  TokenizerFile.checked(
                      tokenizerJson, decoding, most(CHARACTERS_PER_TOKEN, maxLength))),
              options),
          maxLength);
    } catch (EngineException | LinkageError | AssertionError e) {
      throw new DataException(
          "the native library of ai.djl.huggingface:tokenizers does not load: "
              + NativeLibraries.remedy(e)
                  .orElse(
                      "it needs Linux with glibc on x86-64 or arm64, and a directory to write to:"
                          + " set DJL_CACHE_DIR to one"),
          e);
    } catch (IllegalArgumentException e) {
      // The model's own file may have it too.
      throw notUnderstood(tokenizerJson, e, "");
    } catch (IOException | RuntimeException e) {
      throw notUnderstood(tokenizerJson, e, TokenizerFile.TAKE_AGAIN);
    } finally {
      thread.setContextClassLoader(context);
    }
  }

  private static DataException notUnderstood(byte[] tokenizerJson, Exception e, String remedy) {
    return new DataException(
        "tokenizer.json (%d bytes) is not understood: %s%s"
            .formatted(tokenizerJson.length, e.getMessage(), remedy),
        e);
  }

  /**
   * Encodes one text or a pair.
   *
   * @param text the text, or the first of two
   * @param pair the second; null if there is none
   * @return at most maxLength tokens; of a pair the longer text is cut first
   * @throws IllegalStateException if the tokenizer is closed
   * @throws DataException if its model has no token for a part of a text
   */
  public Encoding encode(String text, String pair) {
    return understood(
        () ->
            encoding(
                pair == null
                    ? tokenizer.encode(readable(text, CHARACTERS_PER_TOKEN))
                    : tokenizer.encode(
                        readable(text, CHARACTERS_PER_TOKEN_OF_PAIR),
                        readable(pair, CHARACTERS_PER_TOKEN_OF_PAIR))));
  }

  private static <T> T understood(Supplier<T> encoding) {
    return understood("how a text is encoded", encoding);
  }

  /** What the library gives, unless the file does not say what it asks for. */
  private static <T> T understood(String what, Supplier<T> result) {
    try {
      return result.get();
    } catch (IllegalStateException e) {
      throw e; // closed
    } catch (RuntimeException e) {
      throw new DataException(
          "tokenizer.json does not say %s: %s%s"
              .formatted(what, e.getMessage(), TokenizerFile.TAKE_AGAIN),
          e);
    }
  }

  /** Encodes many at once, on all cores. */
  List<Encoding> encode(List<Example> examples) {
    List<String> singles = new ArrayList<>();
    PairList<String, String> pairs = new PairList<>();
    for (Example example : examples) {
      if (example.pair() == null) {
        singles.add(readable(example.text(), CHARACTERS_PER_TOKEN));
      } else {
        pairs.add(
            readable(example.text(), CHARACTERS_PER_TOKEN_OF_PAIR),
            readable(example.pair(), CHARACTERS_PER_TOKEN_OF_PAIR));
      }
    }
    var ofSingles = singles.isEmpty() ? null : understood(() -> tokenizer.batchEncode(singles));
    var ofPairs = pairs.isEmpty() ? null : understood(() -> tokenizer.batchEncode(pairs));
    List<Encoding> encodings = new ArrayList<>(examples.size());
    int single = 0;
    int pair = 0;
    for (Example example : examples) {
      encodings.add(encoding(example.pair() == null ? ofSingles[single++] : ofPairs[pair++]));
    }
    return encodings;
  }

  /**
   * The tokens of a text, and where in it they begin.
   *
   * @param ids [T]
   * @param begins [T] the code point of the text at which each begins; -1 of those that the
   *     tokenizer adds
   * @param cut whether the text has more tokens than the maximum length, and ends there
   */
  public record Tokens(int[] ids, int[] begins, boolean cut) {}

  /**
   * Encodes one text.
   *
   * @param addSpecialTokens whether the tokenizer adds those that it has for the beginning or end
   *     of a text
   * @throws IllegalStateException if the tokenizer is closed
   * @throws DataException if its model has no token for a part of the text
   */
  public Tokens tokens(String text, boolean addSpecialTokens) {
    String readable = readable(text, CHARACTERS_PER_TOKEN);
    var encoding = understood(() -> tokenizer.encode(readable, addSpecialTokens, false));
    CharSpan[] spans = encoding.getCharTokenSpans();
    long[] special = encoding.getSpecialTokenMask();
    int[] begins = new int[spans.length];
    for (int i = 0; i < begins.length; i++) {
      begins[i] = special[i] == 1 || spans[i] == null ? -1 : spans[i].getStart();
    }
    return new Tokens(
        ints(encoding.getIds()),
        begins,
        encoding.exceedMaxLength() || readable.length() < text.length());
  }

  /**
   * {@return a text of tokens, without special ones; of a tokenizer that is {@link #decoding}}
   *
   * @throws IllegalStateException if the tokenizer is closed
   * @throws DataException if its decoder can make no text of them
   */
  public String decode(int[] ids) {
    return understood(
        "how tokens are read as a text",
        () -> tokenizer.decode(Arrays.stream(ids).asLongStream().toArray(), true));
  }

  /**
   * {@return the id of the special token that a text begins with; empty: it begins with none} Of a
   * tokenizer that is {@link #decoding}.
   *
   * @throws IllegalStateException if the tokenizer is closed
   */
  public OptionalInt leadingSpecialToken(String text) {
    int[] ids;
    try {
      ids = tokens(text, false).ids();
    } catch (DataException e) {
      return OptionalInt.empty(); // it has no tokens for the text
    }
    if (ids.length == 0) {
      return OptionalInt.empty();
    }
    return special(ids[0]).filter(text::startsWith).isPresent()
        ? OptionalInt.of(ids[0])
        : OptionalInt.empty();
  }

  /**
   * {@return the first of the special tokens that a text ends with, as the text has it; empty: it
   * ends with none} Spaces and line breaks between and behind them do not count. Of a tokenizer
   * that is {@link #decoding}.
   *
   * @throws IllegalStateException if the tokenizer is closed
   */
  public Optional<String> endingSpecialToken(String text) {
    int[] ids = tokens(text, false).ids();
    Optional<String> first = Optional.empty();
    for (int i = ids.length - 1; i >= 0; i--) {
      Optional<String> special = special(ids[i]).filter(text::contains);
      if (special.isPresent()) {
        first = special;
      } else if (!decode(new int[] {ids[i]}).isBlank()) {
        return first;
      }
    }
    return first;
  }

  /** A token as it is written, if texts that are read from tokens are without it. */
  private Optional<String> special(int id) {
    String token =
        understood("how tokens are read as a text", () -> tokenizer.decode(new long[] {id}, false));
    return token.isEmpty() || !decode(new int[] {id}).isEmpty()
        ? Optional.empty()
        : Optional.of(token);
  }

  /** {@return tokens that an encoding has at most} */
  public int maxLength() {
    return maxLength;
  }

  @Override
  public void close() {
    tokenizer.close();
  }

  /** Characters of a text that are looked at. */
  private static int most(int charactersPerToken, int maxLength) {
    return (int) Math.min(TokenizerPattern.LONGEST_TEXT, (long) charactersPerToken * maxLength);
  }

  /** The part of a text that may be seen in its tokens, as valid Unicode without NUL. */
  private String readable(String text, int charactersPerToken) {
    int length = Math.min(text.length(), most(charactersPerToken, maxLength));
    StringBuilder readable = new StringBuilder(length);
    for (int i = 0; i < length; i++) {
      char c = text.charAt(i);
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        readable.append(c).append(text.charAt(++i));
      } else {
        readable.append(c == 0 || Character.isSurrogate(c) ? REPLACEMENT : c);
      }
    }
    return readable.toString();
  }

  private static Encoding encoding(ai.djl.huggingface.tokenizers.Encoding encoding) {
    return new Encoding(ints(encoding.getIds()), ints(encoding.getTypeIds()));
  }

  private static int[] ints(long[] values) {
    int[] ints = new int[values.length];
    for (int i = 0; i < values.length; i++) {
      ints[i] = Math.toIntExact(values[i]);
    }
    return ints;
  }

  private static void setUnlessSet(String property) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, "true");
    }
  }
}
