package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What values have inside: {@code a.b}, {@code a[b]}, {@code a[b:c:d]}. */
final class Members {
  private Members() {}

  /** A method goes before a member of a dict. */
  static Object attribute(Object of, String name) {
    Object method = method(of, name);
    return method != null ? method : member(of, name);
  }

  /** A member of a dict goes before a method. */
  static Object item(Object of, Object index, Limits limits) {
    limits.spendReading(of);
    limits.spendReading(index);
    if (of instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (of instanceof Map<?, ?> dict && dict.containsKey(index)) {
      return dict.get(index);
    }
    if (Numbers.isInteger(index)) {
      Object element = element(of, Numbers.whole(index));
      if (element != null || of instanceof List) {
        return element;
      }
    }
    return index instanceof String name
        ? attribute(of, name)
        : new Undefined(
            "%s has no element %s", ValueOperations.kind(of), TextOperations.of(index, limits));
  }

  private static Object method(Object of, String name) {
    Operation method =
        of instanceof String
            ? TextMethods.ALL.get(name)
            : of instanceof Map
                ? CollectionMethods.OF_DICTS.get(name)
                : of instanceof List ? CollectionMethods.OF_LISTS.get(name) : null;
    return method == null ? null : method.on(of);
  }

  private static Object member(Object of, String name) {
    if (of instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (of instanceof Loop loop) {
      return loop.member(name);
    }
    if (of instanceof Group group) {
      return group.member(name);
    }
    Map<?, ?> members =
        of instanceof Map<?, ?> dict
            ? dict
            : of instanceof Namespace namespace ? namespace.members() : Map.of();
    return members.containsKey(name)
        ? members.get(name)
        : new Undefined("%s has no member '%s'", ValueOperations.kind(of), name);
  }

  /** Undefined outside of a list; null where there are no elements. */
  private static Object element(Object of, long index) {
    if (of instanceof List<?> list) {
      long at = index < 0 ? index + list.size() : index;
      return at >= 0 && at < list.size()
          ? list.get((int) at)
          : new Undefined(
              "%s of %d has no element %d", ValueOperations.kind(of), list.size(), index);
    }
    if (of instanceof String text) {
      long length = text.codePointCount(0, text.length());
      long at = index < 0 ? index + length : index;
      return at >= 0 && at < length
          ? TextOperations.characterAt(text, text.offsetByCodePoints(0, (int) at))
          : new Undefined("a string of %d has no character %d", length, index);
    }
    return null;
  }

  /** Bounds and step may be null. */
  static Object slice(Object of, Long from, Long to, Long by, Limits limits) {
    if (of instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!(of instanceof String || of instanceof List)) {
      throw new Failure("%s can't be cut into slices", ValueOperations.kind(of));
    }
    long step = by == null ? 1 : by;
    if (step == 0) {
      throw new Failure("a slice's step must not be 0");
    }
    List<Object> all = ValueOperations.elements(of, limits);
    long size = all.size();
    long first = bound(from, step > 0 ? 0 : size - 1, size, step);
    long end = bound(to, step > 0 ? size : -1, size, step);
    List<Object> chosen = new ArrayList<>();
    for (long i = first; step > 0 ? i < end : i > end; i += step) {
      chosen.add(all.get((int) i));
      if (Math.abs(step) > size) {
        break; // the sum could exceed 64 bits
      }
    }
    if (of instanceof String) {
      StringBuilder text = new StringBuilder();
      chosen.forEach(text::append);
      return text.toString();
    }
    return of instanceof Tuple ? new Tuple(chosen) : chosen;
  }

  private static long bound(Long bound, long absent, long size, long step) {
    if (bound == null) {
      return absent;
    }
    long at = bound < 0 ? bound + size : bound;
    return step > 0 ? Math.max(0, Math.min(at, size)) : Math.max(-1, Math.min(at, size - 1));
  }
}
