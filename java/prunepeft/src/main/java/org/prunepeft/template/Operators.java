package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;

/** What stands between two values. */
final class Operators {
  private Operators() {}

  /** {@code + - * / // % **}. */
  static Object value(String operator, Object a, Object b, Budget budget) {
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return Numbers.arithmetic(operator, a, b);
    }
    if (operator.equals("%") && a instanceof String format) {
      return Formats.percent(format, b, budget);
    }
    if (operator.equals("+") && a instanceof String first && b instanceof String second) {
      budget.spendLength((long) first.length() + second.length());
      return first + second;
    }
    if (operator.equals("+")
        && a instanceof List<?> first
        && b instanceof List<?> second
        && a instanceof Tuple == b instanceof Tuple) {
      budget.spendLength((long) first.size() + second.size());
      List<Object> all = new ArrayList<>(first);
      all.addAll(second);
      return a instanceof Tuple ? new Tuple(all) : all;
    }
    if (operator.equals("*")
        && Numbers.isInteger(b)
        && (a instanceof String || a instanceof List)) {
      return repeated(a, Numbers.whole(b), budget);
    }
    if (operator.equals("*")
        && Numbers.isInteger(a)
        && (b instanceof String || b instanceof List)) {
      return repeated(b, Numbers.whole(a), budget);
    }
    for (Object operand : new Object[] {a, b}) {
      if (operand instanceof Undefined undefined) {
        throw undefined.failure();
      }
    }
    throw new Failure(
        "%s %s %s can't be computed%s",
        Values.kind(a),
        operator,
        Values.kind(b),
        operator.equals("+") && (a instanceof String || b instanceof String)
            ? "; ~ joins values as texts"
            : "");
  }

  private static Object repeated(Object what, long times, Budget budget) {
    long count = Math.max(0, times);
    long length = what instanceof String text ? text.length() : ((List<?>) what).size();
    budget.spendLength(length == 0 || count <= Budget.LENGTH ? length * count : count);
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
  static boolean holds(String operator, Object a, Object b, Budget budget) {
    return switch (operator) {
      case "==" -> Values.equal(a, b, budget);
      case "!=" -> !Values.equal(a, b, budget);
      case "in" -> Values.contains(b, a, budget);
      case "not in" -> !Values.contains(b, a, budget);
      default -> ordered(operator, a, b, budget);
    };
  }

  private static boolean ordered(String operator, Object a, Object b, Budget budget) {
    int order = Values.compare(a, b, budget);
    return switch (operator) {
      case "<" -> order < 0;
      case "<=" -> order <= 0;
      case ">" -> order > 0;
      default -> order >= 0;
    };
  }
}
