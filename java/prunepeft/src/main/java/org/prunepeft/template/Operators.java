package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;

/** What stands between two values. */
final class Operators {
  private Operators() {}

  /** {@code + - * / // % **}. */
  static Object value(String operator, Object a, Object b, Limits limits) {
    if (a instanceof Markup || b instanceof Markup) {
      boolean adds = operator.equals("+");
      Object sum =
          value(
              operator,
              adds && !(a instanceof Markup) ? Markup.part(a) : Markup.plain(a),
              adds && !(b instanceof Markup) ? Markup.part(b) : Markup.plain(b),
              limits);
      return adds ? new Markup((String) sum) : sum;
    }
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return Numbers.arithmetic(operator, a, b);
    }
    if (operator.equals("%") && a instanceof String format) {
      return Formats.percent(format, b, limits);
    }
    if (operator.equals("+") && a instanceof String first && b instanceof String second) {
      limits.spendLength((long) first.length() + second.length());
      return first + second;
    }
    if (operator.equals("+")
        && a instanceof List<?> first
        && b instanceof List<?> second
        && a instanceof Tuple == b instanceof Tuple) {
      limits.spendLength((long) first.size() + second.size());
      List<Object> all = new ArrayList<>(first);
      all.addAll(second);
      return a instanceof Tuple ? new Tuple(all) : all;
    }
    if (operator.equals("*")
        && Numbers.isInteger(b)
        && (a instanceof String || a instanceof List)) {
      return repeated(a, Numbers.whole(b), limits);
    }
    if (operator.equals("*")
        && Numbers.isInteger(a)
        && (b instanceof String || b instanceof List)) {
      return repeated(b, Numbers.whole(a), limits);
    }
    for (Object operand : new Object[] {a, b}) {
      if (operand instanceof Undefined undefined) {
        throw undefined.failure();
      }
    }
    throw new Failure(
        "%s %s %s can't be computed%s",
        ValueOperations.kind(a),
        operator,
        ValueOperations.kind(b),
        operator.equals("+") && (a instanceof String || b instanceof String)
            ? "; ~ joins values as texts"
            : "");
  }

  private static Object repeated(Object what, long times, Limits limits) {
    long count = Math.max(0, times);
    long length = what instanceof String text ? text.length() : ((List<?>) what).size();
    limits.spendLength(length == 0 || count <= Limits.LENGTH ? length * count : count);
    int repeats = length == 0 ? 0 : (int) count;
    if (what instanceof String text) {
      return text.repeat(repeats);
    }
    List<Object> all = new ArrayList<>();
    for (int i = 0; i < repeats; i++) {
      all.addAll((List<?>) what);
    }
    return what instanceof Tuple ? new Tuple(all) : all;
  }

  /** {@code == != < <= > >= in}, {@code not in}. */
  static boolean holds(String operator, Object a, Object b, Limits limits) {
    return switch (operator) {
      case "==" -> ValueOperations.equal(a, b, limits);
      case "!=" -> !ValueOperations.equal(a, b, limits);
      case "in" -> ValueOperations.contains(b, a, limits);
      case "not in" -> !ValueOperations.contains(b, a, limits);
      default -> ordered(operator, a, b, limits);
    };
  }

  private static boolean ordered(String operator, Object a, Object b, Limits limits) {
    int order = ValueOperations.compare(a, b, limits);
    return switch (operator) {
      case "<" -> order < 0;
      case "<=" -> order <= 0;
      case ">" -> order > 0;
      default -> order >= 0;
    };
  }
}
