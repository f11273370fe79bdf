package org.prunepeft.data.batch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.BitSet;

/**
 * SentencePiece's map of characters to what they are replaced by, precompiled_charsmap of a
 * tokenizer.json: in Base64 the size of a trie in bytes (uint32, little-endian), the trie, and the
 * replacements in UTF-8, each ended by a NUL. The trie is a double array (Darts) of uint32: label
 * in bits 0 to 7 and 31, whether a value follows in bit 8, offset in bits 10 to 30, by 256 times
 * where bit 9 is set. The library follows it without a look at its bounds.
 */
final class CharacterMap {
  private static final int LONGEST = 10_000_000;
  private static final int LABEL = 1 << 31 | 0xff;
  private static final int HAS_VALUE = 1 << 8;

  private final TokenizerPart part;
  private final ByteBuffer trie;
  private final byte[] texts;

  private CharacterMap(TokenizerPart part) {
    this.part = part;
    String text = part.text(LONGEST);
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(text);
    } catch (IllegalArgumentException e) {
      throw part.wrong("Base64");
    }
    // Unlike Java's, the library's decoder ends the process where padding or the last bits are
    // others.
    if (!Base64.getEncoder().encodeToString(bytes).equals(text)) {
      throw part.wrong("Base64, with zeros for the last bits and with padding");
    }
    ByteBuffer map = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long size = bytes.length < Integer.BYTES ? 0 : Integer.toUnsignedLong(map.getInt());
    if (size == 0 || size % Integer.BYTES != 0 || size > map.remaining()) {
      throw damaged("%d bytes of trie in %d bytes".formatted(size, bytes.length));
    }
    trie = map.slice(Integer.BYTES, (int) size).order(ByteOrder.LITTLE_ENDIAN);
    texts = new byte[map.remaining() - (int) size];
    map.get(Integer.BYTES + (int) size, texts);
  }

  /**
   * Checks that a trie leads nowhere but to its own places and to whole texts.
   *
   * @return UTF-16 units of the longest of them
   * @throws IllegalArgumentException if it does
   */
  static int longest(TokenizerPart part) {
    return new CharacterMap(part).longest();
  }

  private int longest() {
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(texts));
    } catch (CharacterCodingException e) {
      throw damaged("texts that are not UTF-8");
    }
    int[] lengths = lengths();
    int longest = 0;
    BitSet seen = new BitSet();
    ArrayDeque<Integer> left = new ArrayDeque<>();
    left.add(offset(unit(0)));
    seen.set(left.peek());
    while (!left.isEmpty()) {
      int base = left.remove();
      // Any byte may come next, and is looked up.
      for (int next = 1; next <= 0xff; next++) {
        int unit = unit(base ^ next);
        if ((unit & LABEL) != next) {
          continue;
        }
        int child = base ^ next ^ offset(unit);
        if ((unit & HAS_VALUE) != 0) {
          int start = unit(child) & Integer.MAX_VALUE;
          requireText(start);
          longest = Math.max(longest, lengths[start]);
        }
        if (!seen.get(child)) {
          seen.set(child);
          left.add(child);
        }
      }
    }
    return longest;
  }

  /** UTF-16 units from each byte to the next NUL, or the end. */
  private int[] lengths() {
    int[] lengths = new int[texts.length + 1];
    for (int i = texts.length - 1; i >= 0; i--) {
      int units = (texts[i] & 0xc0) == 0x80 ? 0 : (texts[i] & 0xff) < 0xf0 ? 1 : 2;
      lengths[i] = texts[i] == 0 ? 0 : lengths[i + 1] + units;
    }
    return lengths;
  }

  private int unit(int place) {
    if (place < 0 || place >= trie.capacity() / Integer.BYTES) {
      throw damaged("a place %d in a trie of %d".formatted(place, trie.capacity() / Integer.BYTES));
    }
    return trie.getInt(place * Integer.BYTES);
  }

  private static int offset(int unit) {
    return unit >>> 10 << ((unit & 1 << 9) >>> 6);
  }

  private void requireText(int start) {
    if (start > texts.length || start < texts.length && (texts[start] & 0xc0) == 0x80) {
      throw damaged("a text at %d of %d bytes".formatted(start, texts.length));
    }
  }

  private IllegalArgumentException damaged(String what) {
    return new IllegalArgumentException(
        part.path() + " is damaged: it has " + what + TokenizerFile.TAKE_AGAIN);
  }
}
