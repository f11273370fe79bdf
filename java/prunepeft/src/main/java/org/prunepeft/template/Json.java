package org.prunepeft.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Values as JSON, as Python's {@code json.dumps} writes it; nothing is escaped for HTML. */
final class Json {
  private final StringBuilder out = new StringBuilder();
  private final Limits limits;
  private final boolean ascii;
  private final boolean sorted;

  /** Spaces of a level; null: all in one line. */
  private final String indent;

  private final String betweenItems;
  private final String afterKey;

  private Json(Bound arguments) {
    limits = arguments.limits();
    ascii = arguments.flag(1);
    Object level = arguments.at(2, null);
    indent =
        level == null
            ? null
            : level instanceof String spaces
                ? spaces
                : Formats.padding(arguments.integer(2, 0), ' ', limits);
    List<Object> separators =
        arguments.at(3, null) == null
            ? List.of(indent == null ? ", " : ",", ": ")
            : arguments.elements(3);
    if (separators.size() != 2) {
      throw new Failure("tojson: separators are two strings, got %d", separators.size());
    }
    betweenItems = TextOperations.of(separators.get(0), limits);
    afterKey = TextOperations.of(separators.get(1), limits);
    sorted = arguments.flag(4);
  }

  /** The arguments are value, ensure_ascii, indent, separators, sort_keys. */
  static String of(Bound arguments) {
    Json json = new Json(arguments);
    json.value(arguments.at(0), 0);
    return json.out.toString();
  }

  private void value(Object value, int level) {
    limits.enter();
    int before = out.length();
    if (value instanceof String text) {
      string(text);
    } else if (value instanceof List<?> list) {
      list(list, level);
    } else if (value instanceof Map<?, ?> dict) {
      dict(dict, level);
    } else {
      out.append(scalar(value));
    }
    limits.spendLength(out.length() - before);
    limits.leave();
  }

  private String scalar(Object value) {
    if (value == null) {
      return "null";
    }
    if (value instanceof Boolean || value instanceof Long) {
      return value.toString();
    }
    if (value instanceof Double real) {
      return Double.isNaN(real)
          ? "NaN"
          : Double.isInfinite(real)
              ? real > 0 ? "Infinity" : "-Infinity"
              : Numbers.text(real, limits);
    }
    throw value instanceof Undefined undefined
        ? new Failure("tojson: %s", undefined.reason())
        : new Failure("tojson: %s can't be written as JSON", ValueOperations.kind(value));
  }

  private void list(List<?> list, int level) {
    out.append('[');
    Iterator<?> items = list.iterator();
    while (items.hasNext()) {
      line(level + 1);
      value(items.next(), level + 1);
      if (items.hasNext()) {
        out.append(betweenItems);
      }
    }
    end(list.isEmpty(), level, ']');
  }

  private void dict(Map<?, ?> dict, int level) {
    out.append('{');
    List<Map.Entry<?, ?>> members = new ArrayList<>(dict.entrySet());
    if (sorted) {
      members.sort((a, b) -> ValueOperations.compare(a.getKey(), b.getKey(), limits));
    }
    Iterator<Map.Entry<?, ?>> rest = members.iterator();
    while (rest.hasNext()) {
      Map.Entry<?, ?> member = rest.next();
      line(level + 1);
      Object key = member.getKey();
      string(key instanceof String text ? text : scalar(key));
      out.append(afterKey);
      value(member.getValue(), level + 1);
      if (rest.hasNext()) {
        out.append(betweenItems);
      }
    }
    end(dict.isEmpty(), level, '}');
  }

  private void line(int level) {
    if (indent != null) {
      limits.spendLength((long) indent.length() * level);
      out.append('\n').append(indent.repeat(level));
    }
  }

  private void end(boolean empty, int level, char close) {
    if (!empty) {
      line(level);
    }
    out.append(close);
  }

  private void string(String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      int escaped = "\"\\\n\r\t\b\f".indexOf(c);
      if (escaped >= 0) {
        out.append('\\').append("\"\\nrtbf".charAt(escaped));
      } else if (c < ' ' || ascii && c > '~') {
        out.append("\\u%04x".formatted((int) c));
      } else {
        out.append(c);
      }
    }
    out.append('"');
  }
}
