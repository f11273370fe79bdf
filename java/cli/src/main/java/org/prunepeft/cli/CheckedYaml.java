package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.prunepeft.text.Spelling;

/**
 * Values of a YAML file, checked as they are read: what does not fit is an {@link
 * IllegalArgumentException} that names the file and the place in it.
 *
 * @param file for messages
 */
record CheckedYaml(Path file) {
  private static final int MOST = 1000;

  List<String> names(String where, Object value) {
    List<String> names = list(where, value).stream().map(name -> text(where, name)).toList();
    requireDistinct(where, names);
    return names;
  }

  Map<String, Object> map(String where, Object value, Map<String, Object> otherwise) {
    if (value == null && otherwise != null) {
      return otherwise;
    }
    if (!(value instanceof Map<?, ?> map)) {
      throw wrong(
          where, "a mapping is needed, got %s".formatted(value == null ? "nothing" : value));
    }
    Map<String, Object> named = new LinkedHashMap<>();
    map.forEach((key, member) -> named.put(String.valueOf(key), member));
    return named;
  }

  List<?> list(String where, Object value) {
    List<?> list = value instanceof Collection<?> items ? List.copyOf(nonNull(where, items)) : null;
    if (list == null) {
      require(value != null, where, "a list is needed, got nothing");
      list = List.of(value);
    }
    require(
        !list.isEmpty() && list.size() <= MOST,
        where,
        "1 to %d are needed, got %d".formatted(MOST, list.size()));
    return list;
  }

  private Collection<?> nonNull(String where, Collection<?> items) {
    require(items.stream().allMatch(item -> item != null), where, "one in the list is nothing");
    return items;
  }

  String text(String where, Object value) {
    require(
        value != null && !(value instanceof Map) && !(value instanceof Collection),
        where,
        "a text is needed, got %s".formatted(value == null ? "nothing" : value));
    return value.toString();
  }

  long integer(String where, Object value) {
    require(
        value instanceof Integer || value instanceof Long,
        where,
        "an integer is needed, got " + value);
    return ((Number) value).longValue();
  }

  int whole(String where, Object value, int most) {
    long number = integer(where, value);
    require(
        number >= 1 && number <= most,
        where,
        "it must be in [1, %d], got %d".formatted(most, number));
    return (int) number;
  }

  void requireKnown(String where, Map<String, Object> own, Collection<String> known) {
    own.keySet()
        .forEach(
            key -> require(known.contains(key), where, () -> Spelling.unknown("key", key, known)));
  }

  void requireDistinct(String where, List<String> values) {
    Set<String> seen = new HashSet<>();
    values.forEach(value -> require(seen.add(value), where, "%s is there twice".formatted(value)));
  }

  void require(boolean holds, String where, String message) {
    require(holds, where, () -> message);
  }

  /** The message is only made where it is needed: to look for a name that is near takes long. */
  void require(boolean holds, String where, Supplier<String> message) {
    if (!holds) {
      throw wrong(where, message.get());
    }
  }

  IllegalArgumentException wrong(String where, String message) {
    return new IllegalArgumentException(place(where) + ": " + message);
  }

  String place(String where) {
    return where.isEmpty() ? file.toString() : file + ", " + where;
  }
}
