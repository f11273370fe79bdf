package org.prunepeft.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Python's values: null is None; Boolean, Long, Double, String, List (with {@link Tuple}), Map as
 * dict, Iterator, {@link Undefined}, {@link Namespace}, {@link Callable}.
 */
final class ValueOperations {
  private ValueOperations() {}

  /** A value from outside in the types that are used here; a copy. */
  static Object adopted(Object value, Limits limits) {
    limits.enter();
    Object adopted;
    if (value instanceof Map<?, ?> map) {
      Map<Object, Object> dict = new LinkedHashMap<>();
      map.forEach((name, member) -> dict.put(adopted(name, limits), adopted(member, limits)));
      adopted = dict;
    } else if (value instanceof Iterable<?> elements) {
      List<Object> list = new ArrayList<>();
      elements.forEach(element -> list.add(adopted(element, limits)));
      adopted = list;
    } else if (value instanceof Number number) {
      adopted = adopted(number);
    } else if (value == null || value instanceof String || value instanceof Boolean) {
      adopted = value;
    } else {
      throw new Failure("a template can't be given a value of %s", value.getClass());
    }
    limits.leave();
    return adopted;
  }

  private static Object adopted(Number number) {
    if (number instanceof Double || number instanceof Float || number instanceof BigDecimal) {
      return number.doubleValue();
    }
    if (number instanceof BigInteger big && big.bitLength() > 63) {
      throw new Failure("%s has more than 64 bits; make it a text", big);
    }
    return number.longValue();
  }

  /** For messages. */
  static String kind(Object value) {
    if (value == null) {
      return "None";
    }
    if (value instanceof Undefined) {
      return "undefined";
    }
    return value instanceof Boolean
        ? "a boolean"
        : value instanceof Long
            ? "an integer"
            : value instanceof Double
                ? "a float"
                : value instanceof String
                    ? "a string"
                    : value instanceof Tuple
                        ? "a tuple"
                        : value instanceof List
                            ? "a list"
                            : value instanceof Map
                                ? "a dict"
                                : value instanceof Callable ? "a function" : other(value);
  }

  private static String other(Object value) {
    return value instanceof Iterator
        ? "an iterator (|list makes a list of it)"
        : value instanceof Namespace ? "a namespace" : "a loop";
  }

  static boolean isTrue(Object value) {
    if (value == null || value instanceof Undefined) {
      return false;
    }
    if (value instanceof Boolean truth) {
      return truth;
    }
    if (value instanceof Number number) {
      return number.doubleValue() != 0;
    }
    if (value instanceof String text) {
      return !text.isEmpty();
    }
    if (value instanceof List<?> list) {
      return !list.isEmpty();
    }
    return !(value instanceof Map<?, ?> map) || !map.isEmpty();
  }

  /** The elements of a list, the characters of a string, the keys of a dict; a new list. */
  static List<Object> elements(Object value, Limits limits) {
    if (value instanceof String text) {
      limits.spendLength(text.length());
      List<Object> characters = new ArrayList<>(text.length());
      text.codePoints().forEach(c -> characters.add(Character.toString(c)));
      return characters;
    }
    if (value instanceof List<?> list) {
      limits.spendLength(list.size());
      return new ArrayList<>(list);
    }
    if (value instanceof Map<?, ?> dict) {
      limits.spendLength(dict.size());
      return new ArrayList<>(dict.keySet());
    }
    if (value instanceof Iterator<?> iterator) {
      List<Object> list = new ArrayList<>();
      iterator.forEachRemaining(list::add);
      limits.spendLength(list.size());
      return list;
    }
    if (value instanceof Undefined) {
      return new ArrayList<>();
    }
    throw new Failure("%s has no elements to go over", kind(value));
  }

  static boolean isIterable(Object value) {
    return value instanceof Iterator || value instanceof Undefined || hasLength(value);
  }

  static boolean hasLength(Object value) {
    return value instanceof String || value instanceof List || value instanceof Map;
  }

  static long length(Object value) {
    if (value instanceof String text) {
      return text.codePointCount(0, text.length());
    }
    if (value instanceof List<?> list) {
      return list.size();
    }
    if (value instanceof Map<?, ?> dict) {
      return dict.size();
    }
    if (value instanceof Undefined) {
      return 0;
    }
    throw new Failure("%s has no length", kind(value));
  }

  @SuppressWarnings("unchecked")
  static Map<Object, Object> dict(Object value) {
    if (value instanceof Map<?, ?> dict) {
      return (Map<Object, Object>) dict;
    }
    throw new Failure("a dict is needed, got %s", kind(value));
  }

  /** A value as the key of a dict. */
  static Object key(Object value) {
    if (value == null
        || value instanceof String
        || value instanceof Number
        || value instanceof Boolean) {
      return value;
    }
    throw new Failure(
        "the key of a dict must be a string, a number, a boolean or None, got %s", kind(value));
  }

  static boolean equal(Object a, Object b, Limits limits) {
    if (a == b) {
      return true;
    }
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return Numbers.compare(a, b) == 0;
    }
    if (a instanceof String text) {
      limits.spendReading(text);
      return text.equals(b);
    }
    if (a instanceof Undefined) {
      return b instanceof Undefined;
    }
    limits.enter();
    boolean equal =
        a instanceof List<?> first && b instanceof List<?> second
            ? a instanceof Tuple == b instanceof Tuple && equalLists(first, second, limits)
            : a instanceof Map<?, ?> one
                && b instanceof Map<?, ?> other
                && equalDicts(one, other, limits);
    limits.leave();
    return equal;
  }

  private static boolean equalLists(List<?> a, List<?> b, Limits limits) {
    if (a.size() != b.size()) {
      return false;
    }
    for (int i = 0; i < a.size(); i++) {
      if (!equal(a.get(i), b.get(i), limits)) {
        return false;
      }
    }
    return true;
  }

  private static boolean equalDicts(Map<?, ?> a, Map<?, ?> b, Limits limits) {
    if (a.size() != b.size()) {
      return false;
    }
    for (Map.Entry<?, ?> member : a.entrySet()) {
      if (!b.containsKey(member.getKey())
          || !equal(member.getValue(), b.get(member.getKey()), limits)) {
        return false;
      }
    }
    return true;
  }

  /** Less than 0, 0 or more, as the first is less, equal or more. */
  static int compare(Object a, Object b, Limits limits) {
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return Numbers.compare(a, b);
    }
    if (a instanceof String first && b instanceof String second) {
      limits.spend(Math.min(first.length(), second.length()) / 16);
      return TextOperations.compare(first, second);
    }
    if (a instanceof List<?> first
        && b instanceof List<?> second
        && a instanceof Tuple == b instanceof Tuple) {
      limits.enter();
      int order = compareLists(first, second, limits);
      limits.leave();
      return order;
    }
    for (Object value : new Object[] {a, b}) {
      if (value instanceof Undefined undefined) {
        throw undefined.failure();
      }
    }
    throw new Failure("%s and %s have no order", kind(a), kind(b));
  }

  private static int compareLists(List<?> a, List<?> b, Limits limits) {
    for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
      if (!equal(a.get(i), b.get(i), limits)) {
        return compare(a.get(i), b.get(i), limits);
      }
    }
    return Integer.compare(a.size(), b.size());
  }

  /** Whether a value is an element, a part of a string, or a key. */
  static boolean contains(Object container, Object value, Limits limits) {
    if (container instanceof String text) {
      if (value instanceof String part) {
        return TextSearch.first(text, part, 0, limits) >= 0;
      }
      throw new Failure("only a string can be in a string, got %s", kind(value));
    }
    if (container instanceof Map<?, ?> dict) {
      limits.spendReading(value);
      return !(value instanceof Undefined) && dict.containsKey(key(value));
    }
    for (Object element : elements(container, limits)) {
      if (equal(element, value, limits)) {
        return true;
      }
    }
    return false;
  }
}
