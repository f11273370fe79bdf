package org.prunepeft.formats;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/** What a configuration says once of all modules. */
final class SharedSettings {
  private SharedSettings() {}

  /**
   * The value that all of them share.
   *
   * @param otherwise what is wrong if they differ; the values follow
   * @throws IllegalArgumentException if they differ
   */
  static <P, T> T common(List<P> parts, Function<P, T> of, String otherwise) {
    List<T> values = parts.stream().map(of).distinct().toList();
    if (values.size() != 1) {
      throw new IllegalArgumentException(otherwise + " " + values);
    }
    return values.get(0);
  }

  /** The value that most of them have; of several such the smallest. */
  static <P, T extends Comparable<T>> T mostFrequent(List<P> parts, Function<P, T> of) {
    Map<T, Long> counts =
        parts.stream().collect(Collectors.groupingBy(of, TreeMap::new, Collectors.counting()));
    long most = Collections.max(counts.values());
    return counts.entrySet().stream()
        .filter(entry -> entry.getValue() == most)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElseThrow();
  }
}
