package org.prunepeft.template;

/**
 * A text that {@code safe} or {@code escape} made: what is added to it by {@code +} is escaped for
 * HTML. It is one only in variables and between the operands of an expression; everything else gets
 * the text.
 */
record Markup(String text) {
  static Markup escaped(String text) {
    return new Markup(
        text.replace("&", "&amp;")
            .replace("<", "&lt;")
            .replace(">", "&gt;")
            .replace("'", "&#39;")
            .replace("\"", "&#34;"));
  }

  /** The text of a markup; other values as they are. */
  static Object plain(Object value) {
    return value instanceof Markup markup ? markup.text : value;
  }

  /** A value as a part of a markup; others than texts as they are. */
  static Object part(Object value) {
    return value instanceof String text ? escaped(text).text : plain(value);
  }
}
