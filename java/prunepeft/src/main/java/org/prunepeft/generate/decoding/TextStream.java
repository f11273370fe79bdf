package org.prunepeft.generate.decoding;

import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * The text of tokens that come one by one. A token may be a part of a character, and what it reads
 * as may depend on those before it: so a piece is what a few tokens read as beyond what they did
 * without the last ones. What may be the beginning of a text at which it stops is held back.
 */
final class TextStream {
  /** Stands for bytes that are no character yet. */
  private static final String INCOMPLETE = "\uFFFD";

  /** Tokens of the prompt that the first ones are read with. */
  private static final int CONTEXT = 6;

  private final Function<int[], String> decoder;
  private final List<String> stop;
  private final Consumer<String> listener;
  private final StringBuilder text = new StringBuilder();

  /** Of {@link #text}, how much the listener has been given. */
  private int given;

  /** The prompt's last tokens, and those that have come since. */
  private int[] ids;

  private int count;

  /** Where the tokens begin that the next piece is read with. */
  private int context;

  /** Up to where they are in the text. */
  private int read;

  private boolean stopped;

  /**
   * @param decoder reads tokens as a text
   * @param prompt that the text follows
   * @param listener is given each piece
   */
  TextStream(
      Function<int[], String> decoder, int[] prompt, List<String> stop, Consumer<String> listener) {
    this.decoder = decoder;
    this.stop = stop;
    this.listener = listener;
    ids = Arrays.copyOfRange(prompt, Math.max(0, prompt.length - CONTEXT), prompt.length);
    count = ids.length;
    read = count;
  }

  /** Takes the next token; true: the text is to stop. */
  boolean add(int id) {
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, 2 * count + 1);
    }
    ids[count++] = id;
    String piece = piece();
    if (!piece.isEmpty() && !piece.endsWith(INCOMPLETE)) {
      take(piece);
    }
    return stopped;
  }

  /** What the tokens that are not read yet add. */
  private String piece() {
    String before = decoder.apply(Arrays.copyOfRange(ids, context, read));
    String after = decoder.apply(Arrays.copyOfRange(ids, context, count));
    return after.length() > before.length() ? after.substring(before.length()) : "";
  }

  private void take(String piece) {
    int from = text.length();
    text.append(piece);
    context = read;
    read = count;
    int first = -1;
    for (String end : stop) {
      int at = text.indexOf(end, Math.max(0, from - end.length() + 1));
      first = at >= 0 && (first < 0 || at < first) ? at : first;
    }
    if (first >= 0) {
      text.setLength(first);
      stopped = true;
    }
    give(stopped ? text.length() : text.length() - heldBack());
  }

  /** Characters at the end that a text begins with at which it stops. */
  private int heldBack() {
    int most = 0;
    for (String end : stop) {
      for (int length = Math.min(end.length() - 1, text.length()); length > most; length--) {
        if (end.startsWith(text.substring(text.length() - length))) {
          most = length;
        }
      }
    }
    return most;
  }

  private void give(int to) {
    if (to > given) {
      listener.accept(text.substring(given, to));
      given = to;
    }
  }

  /** Whether a text came at which it is to stop. */
  boolean stopped() {
    return stopped;
  }

  /** The whole text, when no more tokens come; gives the rest to the listener. */
  String end() {
    if (!stopped && read < count) {
      take(piece());
    }
    give(text.length());
    return text.toString();
  }
}
