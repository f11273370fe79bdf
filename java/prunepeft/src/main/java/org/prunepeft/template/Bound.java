package org.prunepeft.template;

import java.util.List;
import java.util.Map;

/**
 * Arguments by their parameters.
 *
 * @param values one for each parameter, {@link #ABSENT} if not given
 * @param rest beyond the parameters
 * @param named with names that are no parameters
 */
record Bound(
    Render render,
    String name,
    List<String> parameters,
    Object[] values,
    List<Object> rest,
    Map<String, Object> named) {
  static final Object ABSENT = new Object();

  Limits limits() {
    return render.limits();
  }

  boolean has(int parameter) {
    return values[parameter] != ABSENT;
  }

  Object at(int parameter) {
    return values[parameter];
  }

  Object at(int parameter, Object absent) {
    return has(parameter) ? values[parameter] : absent;
  }

  /** A value as text, whatever it is. */
  String asText(int parameter) {
    return TextOperations.of(values[parameter], limits());
  }

  /** A string. */
  String text(int parameter) {
    if (values[parameter] instanceof String text) {
      return text;
    }
    throw wrong(parameter, "a string");
  }

  /** A string; null if it is absent or None. */
  String textOrNull(int parameter) {
    return has(parameter) && values[parameter] != null ? text(parameter) : null;
  }

  long integer(int parameter, long absent) {
    if (!has(parameter)) {
      return absent;
    }
    if (!Numbers.isInteger(values[parameter])) {
      throw wrong(parameter, "an integer");
    }
    return Numbers.whole(values[parameter]);
  }

  boolean flag(int parameter) {
    return has(parameter) && ValueOperations.isTrue(values[parameter]);
  }

  List<Object> elements(int parameter) {
    return ValueOperations.elements(values[parameter], limits());
  }

  /** A text or list that is about to be made. */
  String made(String text) {
    limits().spendLength(text.length());
    return text;
  }

  private Failure wrong(int parameter, String wanted) {
    return values[parameter] instanceof Undefined undefined
        ? undefined.failure()
        : new Failure(
            "%s: '%s' must be %s, got %s",
            name, parameters.get(parameter), wanted, ValueOperations.kind(values[parameter]));
  }
}
