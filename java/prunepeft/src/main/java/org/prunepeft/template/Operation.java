package org.prunepeft.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A filter, a test, a function or a method.
 *
 * @param required parameters that must be given; the first, of a method, is what it is called on
 * @param variadic whether it takes more
 * @param anyNamed whether it takes names that are no parameters
 */
record Operation(
    String name,
    List<String> parameters,
    int required,
    boolean variadic,
    boolean anyNamed,
    Computation body) {
  /** What it does. */
  interface Computation {
    Object apply(Bound arguments);
  }

  /**
   * @param signature {@code name(required, optional?, *, **)}
   */
  static Operation of(String signature, Computation body) {
    int open = signature.indexOf('(');
    List<String> parts = List.of(signature.substring(open + 1, signature.length() - 1).split(", "));
    List<String> parameters = new ArrayList<>();
    int required = 0;
    for (String part : parts) {
      if (!part.isEmpty() && !part.startsWith("*")) {
        parameters.add(part.replace("?", ""));
        required += part.endsWith("?") ? 0 : 1;
      }
    }
    return new Operation(
        signature.substring(0, open),
        parameters,
        required,
        parts.contains("*"),
        parts.contains("**"),
        body);
  }

  /** By their names. */
  static Map<String, Operation> table(Operation... operations) {
    Map<String, Operation> table = new HashMap<>();
    Arrays.stream(operations).forEach(one -> table.put(one.name, one));
    return table;
  }

  Object call(Render render, PassedArguments arguments) {
    Object[] values = new Object[parameters.size()];
    Arrays.fill(values, Bound.ABSENT);
    List<Object> positional = arguments.positional();
    positional.forEach(render.limits()::spendReading);
    render.limits().spend(arguments.named().size());
    arguments.named().values().forEach(render.limits()::spendReading);
    int direct = Math.min(values.length, positional.size());
    for (int i = 0; i < direct; i++) {
      values[i] = positional.get(i);
    }
    if (positional.size() > values.length && !variadic) {
      throw new Failure("%s takes %s; got %d arguments", name, taken(), positional.size());
    }
    Map<String, Object> others = new LinkedHashMap<>();
    arguments
        .named()
        .forEach(
            (key, value) -> {
              int at = parameters.indexOf(key);
              if (at >= direct) {
                values[at] = value;
              } else if (at < 0 && anyNamed) {
                others.put(key, value);
              } else {
                throw new Failure(
                    "%s takes %s; got '%s'%s", name, taken(), key, at < 0 ? "" : " twice");
              }
            });
    for (int i = 0; i < required; i++) {
      if (values[i] == Bound.ABSENT) {
        throw new Failure("%s needs '%s'", name, parameters.get(i));
      }
    }
    return body.apply(
        new Bound(
            render,
            name,
            parameters,
            values,
            positional.subList(direct, positional.size()),
            others));
  }

  private String taken() {
    return parameters.isEmpty() ? "no arguments" : String.join(", ", parameters);
  }

  /** As a function, or as a method of a value. */
  Callable on(Object... receiver) {
    Operation operation = this;
    return new Callable() {
      @Override
      public String name() {
        return operation.name;
      }

      @Override
      public Object call(Render render, PassedArguments arguments) {
        return operation.call(
            render, receiver.length == 0 ? arguments : arguments.after(receiver[0]));
      }
    };
  }
}
