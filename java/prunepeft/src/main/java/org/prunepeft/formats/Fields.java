package org.prunepeft.formats;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Fields of another library's configuration, each of which is either read, known to be of no
 * consequence, or refused by its name: nothing is passed over that would change what is computed.
 */
final class Fields {
  private final String origin;
  private final Map<?, ?> fields;
  private final Set<String> seen = new HashSet<>();

  /**
   * @param origin what messages call them: a file, or a part of one
   */
  Fields(String origin, Object fields) {
    this.origin = origin;
    if (!(fields instanceof Map<?, ?> map)) {
      throw new IllegalArgumentException(origin + " must be an object, got " + fields);
    }
    this.fields = map;
  }

  String origin() {
    return origin;
  }

  /** A field of any type; null if it is absent. */
  Object value(String name) {
    seen.add(name);
    return fields.get(name);
  }

  String text(String name, String absent) {
    return typed(name, String.class, absent, "a string");
  }

  boolean flag(String name, boolean absent) {
    return typed(name, Boolean.class, absent, "true or false");
  }

  /** A number that float64 holds: 1e999 is none. */
  double number(String name, double absent) {
    double value = typed(name, Number.class, absent, "a number").doubleValue();
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(
          "%s: %s must be finite, got %s".formatted(origin, name, value));
    }
    return value;
  }

  int integer(String name, int absent) {
    double value = number(name, absent);
    if (value != (int) value) {
      throw new IllegalArgumentException(
          "%s: %s must be a whole number, got %s".formatted(origin, name, value));
    }
    return (int) value;
  }

  List<?> list(String name) {
    return typed(name, List.class, List.of(), "a list");
  }

  Map<?, ?> map(String name) {
    return typed(name, Map.class, Map.of(), "an object");
  }

  private <T> T typed(String name, Class<? extends T> type, T absent, String expected) {
    Object value = value(name);
    if (value == null) {
      return absent;
    }
    if (!type.isInstance(value)) {
      throw new IllegalArgumentException(
          "%s: %s must be %s, got %s".formatted(origin, name, expected, value));
    }
    return type.cast(value);
  }

  /** Fields that may hold anything. */
  Fields ignore(String... names) {
    seen.addAll(List.of(names));
    return this;
  }

  /**
   * A field that may be absent or hold one of these.
   *
   * @throws IllegalArgumentException if it holds something else
   */
  Fields require(String name, Object... supported) {
    Object value = value(name);
    if (value != null && !List.of(supported).contains(value)) {
      throw new IllegalArgumentException(
          "%s: %s %s is not supported; %s"
              .formatted(
                  origin,
                  name,
                  value,
                  supported.length == 1
                      ? "it must be " + supported[0]
                      : "there are " + List.of(supported)));
    }
    return this;
  }

  /**
   * To be called when everything is read.
   *
   * @throws IllegalArgumentException if a field is left that is neither null, false nor empty
   */
  void finish() {
    fields.forEach(
        (name, value) -> {
          if (!seen.contains(name) && !neutral(value)) {
            throw new IllegalArgumentException(
                "%s: %s %s is not supported; save the adapter without it"
                    .formatted(origin, name, value));
          }
        });
  }

  private static boolean neutral(Object value) {
    return value == null
        || value.equals(false)
        || value instanceof Map<?, ?> map && map.isEmpty()
        || value instanceof List<?> list && list.isEmpty()
        || value instanceof String text && text.isEmpty();
  }
}
