package org.prunepeft.testing;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/**
 * Makes files of others. A change puts something in the place of a part: a byte, a number, a word,
 * a quoted text, what stands between brackets, a line. What comes there is nothing, the part itself
 * again, a number at a type's limit, a word that formats know, or a part of another file.
 */
final class Mutator {
  private static final int MOST_CHANGES = 6;

  private static final byte[][] WORDS =
      Stream.of(
              "null true false \"\" 0 -1 -0.0 1.5 1e400 -1e400 1e-400 1e2147483648 NaN 2147483648",
              "-2147483649 9223372036854775807 9223372036854775808 [] {} [null] {\"\":0} , : \" ' \\",
              "\"\\u0000\" \"\\ud800\" \u00e9 \ufeff \u0000 / .. ../x /dev/null * ** [!a-] {a,b} ? &a *a",
              "!!binary !!float | > --- # %YAML %s $1 \\Q (a*)*",
              "[".repeat(200))
          .flatMap(words -> Stream.concat(Stream.of(words.split(" ")), Stream.of(" ", "\n", "\t")))
          .map(word -> word.getBytes(StandardCharsets.UTF_8))
          .toArray(byte[][]::new);

  private static final long[] LIMITS = {
    0,
    1,
    -1,
    2,
    16,
    127,
    128,
    255,
    256,
    32767,
    65535,
    Integer.MAX_VALUE,
    Integer.MIN_VALUE,
    0xffff_ffffL,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    0x7fc0_0000L,
    0x7ff8_0000_0000_0000L
  };

  /** From a byte until before another. */
  private record Part(int from, int to) {
    byte[] of(byte[] file) {
      return Arrays.copyOfRange(file, from, to);
    }
  }

  private final Random random;
  private final int longest;

  /**
   * @param seed of all that follows
   * @param longest file in bytes
   */
  Mutator(long seed, int longest) {
    random = new Random(seed);
    this.longest = longest;
  }

  /** A new file of some. */
  byte[] next(List<byte[]> files) {
    byte[] file = any(files);
    int changes = 1;
    while (changes < MOST_CHANGES && random.nextBoolean()) {
      changes++;
    }
    for (int i = 0; i < changes; i++) {
      Part part = part(file);
      byte[] changed = replaced(file, part, content(part.of(file), any(files)));
      file = changed.length <= longest ? changed : file;
    }
    return file;
  }

  /** Short ones more often: they take less time. */
  private byte[] any(List<byte[]> files) {
    byte[] one = files.get(random.nextInt(files.size()));
    byte[] other = files.get(random.nextInt(files.size()));
    return one.length < other.length ? one : other;
  }

  private static byte[] replaced(byte[] file, Part part, byte[] content) {
    byte[] changed = Arrays.copyOf(file, file.length - (part.to - part.from) + content.length);
    System.arraycopy(content, 0, changed, part.from, content.length);
    System.arraycopy(file, part.to, changed, part.from + content.length, file.length - part.to);
    return changed;
  }

  private Part part(byte[] file) {
    if (file.length == 0) {
      return new Part(0, 0);
    }
    int at = random.nextInt(file.length);
    return switch (random.nextInt(9)) {
      case 0 -> new Part(at, at);
      case 1 -> new Part(at, at + 1);
      case 2 -> new Part(at, Math.min(file.length, at + (1 << random.nextInt(4))));
      case 3 -> new Part(at, Math.min(file.length, at + 1 + random.nextInt(40)));
      case 4 -> random.nextInt(4) == 0 ? new Part(at, file.length) : around(file, at, '\n', '\n');
      case 5 -> around(file, at, '"', '"');
      case 6 -> bracketed(file, at);
      default -> word(file, at);
    };
  }

  /** From the last {@code before} until after the next {@code after}. */
  private static Part around(byte[] file, int at, char before, char after) {
    int from = at;
    while (from > 0 && file[from - 1] != before) {
      from--;
    }
    int to = at;
    while (to < file.length && file[to] != after) {
      to++;
    }
    return before == '"' && from > 0 && to < file.length
        ? new Part(from - 1, to + 1)
        : new Part(from, Math.min(file.length, to + 1));
  }

  /** The next that stands in brackets, whole; a word where there is none. */
  private static Part bracketed(byte[] file, int at) {
    int from = at;
    while (from < file.length && file[from] != '{' && file[from] != '[') {
      from++;
    }
    int depth = 0;
    for (int to = from; to < file.length; to++) {
      if (file[to] == '{' || file[to] == '[') {
        depth++;
      } else if ((file[to] == '}' || file[to] == ']') && --depth == 0) {
        return new Part(from, to + 1);
      }
    }
    return word(file, at);
  }

  private static Part word(byte[] file, int at) {
    int from = at;
    while (from > 0 && isLetter(file[from - 1])) {
      from--;
    }
    int to = at;
    while (to < file.length && isLetter(file[to])) {
      to++;
    }
    return new Part(from, Math.max(to, at + 1));
  }

  private static boolean isLetter(byte b) {
    return b < 0 || b == '_' || b == '.' || b == '-' || b == '+' || Character.isLetterOrDigit(b);
  }

  private byte[] content(byte[] own, byte[] other) {
    return switch (random.nextInt(9)) {
      case 0 -> new byte[0];
      case 1 -> flipped(own);
      case 2 -> repeated(own, random.nextInt(8) == 0 ? random.nextInt(200) : 2);
      case 3 -> number(own.length);
      case 4 -> Long.toString(limit()).getBytes(StandardCharsets.US_ASCII);
      case 5, 6 -> WORDS[random.nextInt(WORDS.length)];
      case 7 -> bytes(Math.max(1, own.length));
      default -> part(other).of(other);
    };
  }

  private byte[] flipped(byte[] own) {
    if (own.length == 0) {
      return bytes(1);
    }
    byte[] flipped = own.clone();
    flipped[random.nextInt(own.length)] ^= (byte) (1 << random.nextInt(8));
    return flipped;
  }

  private byte[] repeated(byte[] own, int times) {
    int most = own.length == 0 ? 0 : Math.min(times, longest / own.length + 1);
    byte[] repeated = new byte[own.length * most];
    for (int i = 0; i < most; i++) {
      System.arraycopy(own, 0, repeated, i * own.length, own.length);
    }
    return repeated;
  }

  /** Of as many bytes as it replaces, 8 at most. */
  private byte[] number(int bytes) {
    boolean little = random.nextInt(4) > 0;
    byte[] whole =
        ByteBuffer.allocate(8)
            .order(little ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN)
            .putLong(limit())
            .array();
    int length = Math.max(1, Math.min(8, bytes));
    return little ? Arrays.copyOf(whole, length) : Arrays.copyOfRange(whole, 8 - length, 8);
  }

  private long limit() {
    return random.nextInt(4) == 0
        ? random.nextInt(300)
        : LIMITS[random.nextInt(LIMITS.length)] + random.nextInt(3) - 1;
  }

  private byte[] bytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }
}
