package org.prunepeft.template;

import java.util.Locale;
import java.util.Map;

/** What stands behind {@code is}. */
final class Tests {
  static final Map<String, Operation> ALL =
      Operation.table(
          Operation.of("defined(value)", a -> !(a.at(0) instanceof Undefined)),
          Operation.of("undefined(value)", a -> a.at(0) instanceof Undefined),
          Operation.of("none(value)", a -> a.at(0) == null),
          Operation.of("boolean(value)", a -> a.at(0) instanceof Boolean),
          Operation.of("true(value)", a -> Boolean.TRUE.equals(a.at(0))),
          Operation.of("false(value)", a -> Boolean.FALSE.equals(a.at(0))),
          Operation.of("integer(value)", a -> a.at(0) instanceof Long),
          Operation.of("float(value)", a -> a.at(0) instanceof Double),
          Operation.of("number(value)", a -> Numbers.isNumber(a.at(0))),
          Operation.of("string(value)", a -> a.at(0) instanceof String),
          Operation.of("mapping(value)", a -> a.at(0) instanceof Map),
          Operation.of("iterable(value)", a -> ValueOperations.isIterable(a.at(0))),
          Operation.of(
              "sequence(value)",
              a -> ValueOperations.hasLength(a.at(0)) || a.at(0) instanceof Undefined),
          Operation.of("callable(value)", a -> a.at(0) instanceof Callable),
          Operation.of("filter(value)", a -> Filters.ALL.containsKey(a.asText(0))),
          Operation.of("test(value)", a -> isTest(a.asText(0))),
          Operation.of("lower(value)", a -> cased(a.asText(0), false)),
          Operation.of("upper(value)", a -> cased(a.asText(0), true)),
          Operation.of("odd(value)", a -> rest(a, 2L, 1L)),
          Operation.of("even(value)", a -> rest(a, 2L, 0L)),
          Operation.of("divisibleby(value, num)", a -> rest(a, a.at(1), 0L)),
          Operation.of("sameas(value, other)", a -> isSame(a.at(0), a.at(1))),
          comparison("in", "in"),
          comparison("eq", "=="),
          comparison("equalto", "=="),
          comparison("ne", "!="),
          comparison("lt", "<"),
          comparison("lessthan", "<"),
          comparison("le", "<="),
          comparison("gt", ">"),
          comparison("greaterthan", ">"),
          comparison("ge", ">="),
          comparison("==", "=="),
          comparison("!=", "!="),
          comparison("<", "<"),
          comparison("<=", "<="),
          comparison(">", ">"),
          comparison(">=", ">="));

  private Tests() {}

  private static Operation comparison(String name, String operator) {
    return Operation.of(
        name + "(value, other)", a -> Operators.holds(operator, a.at(0), a.at(1), a.limits()));
  }

  private static boolean isTest(String name) {
    return ALL.containsKey(name);
  }

  /** Whether a text has letters, all of them in this case. */
  static boolean cased(String text, boolean upper) {
    boolean letters =
        text.chars().anyMatch(c -> Character.isUpperCase(c) || Character.isLowerCase(c));
    return letters
        && text.equals(upper ? text.toUpperCase(Locale.ROOT) : text.toLowerCase(Locale.ROOT));
  }

  /** Whether the division by a number leaves this. */
  private static boolean rest(Bound a, Object divisor, long rest) {
    return ValueOperations.equal(
        Operators.value("%", a.at(0), divisor, a.limits()), rest, a.limits());
  }

  private static boolean isSame(Object a, Object b) {
    boolean scalars = a instanceof String || a instanceof Boolean || a instanceof Long;
    return a == b || scalars && a.equals(b);
  }
}
