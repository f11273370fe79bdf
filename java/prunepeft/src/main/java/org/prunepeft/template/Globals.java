package org.prunepeft.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The functions that every template has. */
final class Globals {
  /** Elements of a range at most, as in Jinja's sandbox. */
  private static final long RANGE = 100_000;

  static final Map<String, Callable> ALL = new LinkedHashMap<>();

  static {
    Stream.of(
            Operation.of("range(*)", a -> range(a.rest(), a.limits())),
            Operation.of("dict(from?, **)", Globals::members),
            Operation.of("namespace(from?, **)", a -> new Namespace(members(a))),
            Operation.of(
                "strftime_now(format)", a -> Dates.text(a.render().now(), a.text(0), a.limits())),
            Operation.of(
                "raise_exception(message)",
                a -> {
                  throw new Failure("the template says: %s", a.asText(0));
                }))
        .forEach(one -> ALL.put(one.name(), one.on()));
  }

  private Globals() {}

  private static Map<Object, Object> members(Bound arguments) {
    Map<Object, Object> members = new LinkedHashMap<>();
    if (arguments.has(0)) {
      if (arguments.at(0) instanceof Map) {
        Map<Object, Object> given = ValueOperations.dict(arguments.at(0));
        arguments.limits().spendLength(given.size());
        members.putAll(given);
      } else {
        for (Object pair : arguments.elements(0)) {
          List<Object> parts = ValueOperations.elements(pair, arguments.limits());
          if (parts.size() != 2) {
            throw new Failure(
                "%s: pairs are needed, got %d values", arguments.name(), parts.size());
          }
          members.put(ValueOperations.key(parts.get(0)), parts.get(1));
        }
      }
    }
    arguments.limits().spend(arguments.named().size());
    members.putAll(arguments.named());
    return members;
  }

  private static List<Object> range(List<Object> bounds, Limits limits) {
    if (bounds.isEmpty() || bounds.size() > 3) {
      throw new Failure("range takes an end; a start and an end; or these and a step");
    }
    long[] numbers =
        bounds.stream().mapToLong(bound -> (Long) Numbers.integer("range", bound)).toArray();
    long from = numbers.length == 1 ? 0 : numbers[0];
    long to = numbers.length == 1 ? numbers[0] : numbers[1];
    long step = numbers.length == 3 ? numbers[2] : 1;
    if (step == 0) {
      throw new Failure("range: the step must not be 0");
    }
    BigInteger span = BigInteger.valueOf(to).subtract(BigInteger.valueOf(from));
    BigInteger steps = span.divide(BigInteger.valueOf(step));
    if (steps.compareTo(BigInteger.valueOf(RANGE)) >= 0) {
      throw new Failure("range: more than %,d numbers", RANGE);
    }
    List<Object> all = new ArrayList<>();
    for (long i = 0; i <= steps.longValue(); i++) {
      long number = from + i * step;
      if (step > 0 ? number < to : number > to) {
        all.add(number);
      }
    }
    limits.spend(all.size());
    return all;
  }
}
