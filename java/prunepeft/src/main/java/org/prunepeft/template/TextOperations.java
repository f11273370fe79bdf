package org.prunepeft.template;

import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Strings, and other values as strings, as Python has them. */
final class TextOperations {
  private TextOperations() {}

  /** A value as it is printed. */
  static String of(Object value, Limits limits) {
    if (value instanceof String text) {
      return text;
    }
    if (value instanceof Undefined) {
      return "";
    }
    StringBuilder text = new StringBuilder();
    represent(value, text, limits);
    return text.toString();
  }

  /** A value as it stands in a printed list: strings in quotation marks. */
  private static void represent(Object value, StringBuilder into, Limits limits) {
    limits.enter();
    int before = into.length();
    if (value == null) {
      into.append("None");
    } else if (value instanceof Boolean truth) {
      into.append(truth ? "True" : "False");
    } else if (value instanceof String text) {
      quote(text, into);
    } else if (value instanceof Double real) {
      into.append(Numbers.text(real, limits));
    } else if (value instanceof Tuple tuple) {
      list(tuple, "(", tuple.size() == 1 ? ",)" : ")", into, limits);
    } else if (value instanceof List<?> list) {
      list(list, "[", "]", into, limits);
    } else if (value instanceof Map<?, ?> dict) {
      dict(dict, into, limits);
    } else if (value instanceof Namespace namespace) {
      into.append("<Namespace ");
      dict(namespace.members(), into, limits);
      into.append('>');
    } else if (value instanceof Undefined) {
      into.append("Undefined");
    } else if (value instanceof Callable callable) {
      into.append("<function ").append(callable.name()).append('>');
    } else if (value instanceof Iterator || value instanceof Loop) {
      throw new Failure("%s can't be printed", ValueOperations.kind(value));
    } else {
      into.append(value);
    }
    limits.spendLength(into.length() - before);
    limits.leave();
  }

  private static void list(
      List<?> list, String open, String close, StringBuilder into, Limits limits) {
    into.append(open);
    String between = "";
    for (Object element : list) {
      into.append(between);
      represent(element, into, limits);
      between = ", ";
    }
    into.append(close);
  }

  private static void dict(Map<?, ?> dict, StringBuilder into, Limits limits) {
    into.append('{');
    String between = "";
    for (Map.Entry<?, ?> member : dict.entrySet()) {
      into.append(between);
      represent(member.getKey(), into, limits);
      into.append(": ");
      represent(member.getValue(), into, limits);
      between = ", ";
    }
    into.append('}');
  }

  private static void quote(String text, StringBuilder into) {
    char mark = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    into.append(mark);
    text.codePoints()
        .forEach(
            c -> {
              if (c == mark || c == '\\') {
                into.append('\\').append((char) c);
              } else if (c == '\n' || c == '\r' || c == '\t') {
                into.append('\\').append(c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
              } else if (isPrintable(c)) {
                into.appendCodePoint(c);
              } else {
                into.append((c < 256 ? "\\x%02x" : c < 65536 ? "\\u%04x" : "\\U%08x").formatted(c));
              }
            });
    into.append(mark);
  }

  private static boolean isPrintable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      case Character.SPACE_SEPARATOR -> c == ' ';
      default -> true;
    };
  }

  static boolean isSpace(int c) {
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == 0x85;
  }

  /** The character at an index, both halves if it has two. */
  static String characterAt(String text, int index) {
    return Character.toString(text.codePointAt(index));
  }

  /** The end of a part, before the spaces with which it ends. */
  static int endWithoutSpaces(String text, int from, int to) {
    int end = to;
    while (end > from && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return end;
  }

  /** By code points. */
  static int compare(String a, String b) {
    int same = 0;
    int length = Math.min(a.length(), b.length());
    while (same < length && a.charAt(same) == b.charAt(same)) {
      same++;
    }
    if (same == length) {
      return Integer.compare(a.length(), b.length());
    }
    boolean surrogates =
        Character.isSurrogate(a.charAt(same)) != Character.isSurrogate(b.charAt(same));
    int order = Character.compare(a.charAt(same), b.charAt(same));
    // A character beyond the 16-bit ones is more than each of these.
    return surrogates ? (Character.isSurrogate(a.charAt(same)) ? 1 : -1) : order;
  }

  /** What is between a string's quotation marks, with its escapes carried out. */
  static String unescaped(String written) {
    StringBuilder text = new StringBuilder();
    int at = 0;
    while (at < written.length()) {
      char c = written.charAt(at);
      if (c == '\\') {
        at = escape(written, at + 1, text);
      } else {
        text.append(c);
        at++;
      }
    }
    return text.toString();
  }

  /** Appends what an escape stands for; the index after it. */
  private static int escape(String written, int at, StringBuilder text) {
    char c = written.charAt(at);
    int plain = "\\'\"abfnrtv".indexOf(c);
    if (plain >= 0) {
      text.append("\\'\"\u0007\b\f\n\r\t\u000b".charAt(plain));
      return at + 1;
    }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    int end = at + 1;
    while (end < written.length()
        && end < at + 1 + digits
        && Character.digit(written.charAt(end), 16) >= 0) {
      end++;
    }
    if (digits > 0 && end == at + 1 + digits) {
      int code = Integer.parseUnsignedInt(written.substring(at + 1, end), 16);
      if (Character.isValidCodePoint(code)) {
        text.appendCodePoint(code);
        return end;
      }
    }
    int octal = at;
    while (octal < written.length()
        && octal < at + 3
        && Character.digit(written.charAt(octal), 8) >= 0) {
      octal++;
    }
    if (octal > at) {
      text.append((char) Integer.parseInt(written.substring(at, octal), 8));
      return octal;
    }
    if (c != '\n') {
      text.append('\\').append(c);
    }
    return at + 1;
  }
}
