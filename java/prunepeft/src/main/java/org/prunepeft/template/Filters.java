package org.prunepeft.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What stands behind a bar. */
final class Filters {
  private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern WORD_BEGIN = Pattern.compile("(?<=[-\\s({\\[<])(?=[^-\\s({\\[<])");

  static final Map<String, Operation> ALL =
      Operation.table(
          // Texts
          Operation.of("string(value)", Filters::text),
          Operation.of("safe(value)", a -> new Markup(a.asText(0))),
          Operation.of(
              "trim(value, chars?)",
              a -> TextMethods.stripped(a.asText(0), a.textOrNull(1), true, true)),
          Operation.of("upper(value)", a -> a.made(a.asText(0).toUpperCase(Locale.ROOT))),
          Operation.of("lower(value)", a -> a.made(a.asText(0).toLowerCase(Locale.ROOT))),
          Operation.of("capitalize(value)", a -> a.made(TextMethods.capitalized(a.asText(0)))),
          Operation.of("title(value)", a -> a.made(titled(a.asText(0)))),
          Operation.of("replace(value, old, new, count?)", Filters::replaced),
          Operation.of("indent(value, width?, first?, blank?)", Filters::indented),
          Operation.of(
              "center(value, width?)",
              a -> TextMethods.padded(a.asText(0), a.integer(1, 80), ' ', 0.5, a.limits())),
          Operation.of("format(value, *, **)", Filters::formatted),
          Operation.of("escape(value)", Filters::escaped),
          Operation.of("e(value)", Filters::escaped),
          Operation.of("wordcount(value)", a -> WORD.matcher(a.asText(0)).results().count()),
          Operation.of("tojson(value, ensure_ascii?, indent?, separators?, sort_keys?)", Json::of),
          // Numbers
          Operation.of(
              "abs(value)",
              a -> Numbers.compare(number(a), 0L) < 0 ? Numbers.signed(true, a.at(0)) : a.at(0)),
          Operation.of("round(value, precision?, method?)", Filters::rounded),
          Operation.of("int(value, default?, base?)", Filters::integer),
          Operation.of("float(value, default?)", Filters::real),
          // Lists and dicts
          Operation.of("length(value)", a -> ValueOperations.length(a.at(0))),
          Operation.of("count(value)", a -> ValueOperations.length(a.at(0))),
          Operation.of("list(value)", a -> a.elements(0)),
          Operation.of("first(value)", a -> end(a, a.elements(0), true)),
          Operation.of("last(value)", a -> end(a, a.elements(0), false)),
          Operation.of("join(value, d?, attribute?)", Filters::joined),
          Operation.of("reverse(value)", Filters::reversed),
          Operation.of("sort(value, reverse?, case_sensitive?, attribute?)", Filters::sorted),
          Operation.of("unique(value, case_sensitive?, attribute?)", Filters::unique),
          Operation.of("min(value, case_sensitive?, attribute?)", a -> extreme(a, false)),
          Operation.of("max(value, case_sensitive?, attribute?)", a -> extreme(a, true)),
          Operation.of("sum(value, attribute?, start?)", Filters::sum),
          Operation.of("batch(value, linecount, fill_with?)", Filters::batches),
          Operation.of("groupby(value, attribute, default?, case_sensitive?)", Filters::groups),
          Operation.of("dictsort(value, case_sensitive?, by?, reverse?)", Filters::sortedItems),
          Operation.of(
              "items(value)",
              a ->
                  (a.at(0) instanceof Undefined
                          ? List.of()
                          : CollectionMethods.items(a.at(0), a.limits()))
                      .iterator()),
          Operation.of("attr(value, name)", Filters::attribute),
          Operation.of("map(value, *, **)", Filters::mapped),
          Operation.of("select(value, *, **)", a -> selected(a, false, true)),
          Operation.of("reject(value, *, **)", a -> selected(a, false, false)),
          Operation.of("selectattr(value, attribute, *, **)", a -> selected(a, true, true)),
          Operation.of("rejectattr(value, attribute, *, **)", a -> selected(a, true, false)),
          Operation.of("default(value, default_value?, boolean?)", Filters::orDefault),
          Operation.of("d(value, default_value?, boolean?)", Filters::orDefault));

  private Filters() {}

  private static Object text(Bound a) {
    return a.asText(0);
  }

  private static Object orDefault(Bound a) {
    boolean absent = a.at(0) instanceof Undefined || a.flag(2) && !ValueOperations.isTrue(a.at(0));
    return absent ? a.at(1, "") : a.at(0);
  }

  private static String titled(String text) {
    return WORD_BEGIN
        .splitAsStream(text)
        .map(TextMethods::capitalized)
        .collect(Collectors.joining());
  }

  private static Object replaced(Bound a) {
    long count = a.at(3, null) == null ? -1 : a.integer(3, -1);
    return TextMethods.replaced(a.asText(0), a.asText(1), a.asText(2), count, a.limits());
  }

  private static Object indented(Bound a) {
    String indent =
        a.at(1, null) instanceof String text
            ? text
            : Formats.padding(a.integer(1, 4), ' ', a.limits());
    List<String> lines = Lines.of(a.asText(0) + "\n", false);
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      boolean moved = i == 0 ? a.flag(2) : a.flag(3) || !line.isEmpty();
      a.limits().append(i == 0 ? "" : "\n", out);
      a.limits().append(moved ? indent : "", out);
      a.limits().append(line, out);
    }
    return out.toString();
  }

  private static Object formatted(Bound a) {
    return Formats.percent(
        a.asText(0), a.named().isEmpty() ? new Tuple(a.rest()) : a.named(), a.limits());
  }

  private static Object escaped(Bound a) {
    Markup escaped = Markup.escaped(a.asText(0));
    a.made(escaped.text());
    return escaped;
  }

  private static Object number(Bound a) {
    if (!Numbers.isNumber(a.at(0))) {
      throw a.at(0) instanceof Undefined undefined
          ? undefined.failure()
          : new Failure("%s takes a number, got %s", a.name(), ValueOperations.kind(a.at(0)));
    }
    return a.at(0);
  }

  private static Object rounded(Bound a) {
    Object value = number(a);
    long digits = a.integer(1, 0);
    String method = a.has(2) ? a.text(2) : "common";
    double scale = Math.pow(10, digits);
    return switch (method) {
      case "common" ->
          Numbers.isInteger(value) && digits >= 0
              ? (Object) Numbers.whole(value)
              : Numbers.rounded(Numbers.real(value), digits, a.limits());
      case "ceil" -> Math.ceil(Numbers.real(value) * scale) / scale;
      case "floor" -> Math.floor(Numbers.real(value) * scale) / scale;
      default -> throw new Failure("round: the method is common, ceil or floor, got %s", method);
    };
  }

  private static Object integer(Bound a) {
    Object value = a.at(0);
    if (value instanceof String text) {
      try {
        return Long.parseLong(text.strip().replace("_", ""), (int) a.integer(2, 10));
      } catch (NumberFormatException e) {
        value = parsed(text);
      }
    }
    boolean whole =
        value != null && Numbers.isNumber(value) && Math.abs(Numbers.real(value)) < 0x1p63;
    return !whole
        ? a.at(1, 0L)
        : Numbers.isInteger(value) ? Numbers.whole(value) : (long) Numbers.real(value);
  }

  private static Object real(Bound a) {
    Object value = a.at(0) instanceof String text ? parsed(text) : a.at(0);
    return value != null && Numbers.isNumber(value) ? (Object) Numbers.real(value) : a.at(1, 0.0);
  }

  /** The number that a text is; null if it is none. */
  private static Object parsed(String text) {
    String number = text.strip().replace("_", "");
    return number.matches("[-+]?(\\d++\\.?\\d*+|\\.\\d++)([eE][-+]?\\d++)?")
        ? Double.parseDouble(number)
        : null;
  }

  /** Of a dict a method alone, as in Jinja. */
  private static Object attribute(Bound a) {
    String name = a.text(1);
    return a.at(0) instanceof Map && !CollectionMethods.OF_DICTS.containsKey(name)
        ? new Undefined("a dict has no attribute '%s'", name)
        : Members.attribute(a.at(0), name);
  }

  private static Object end(Bound a, List<Object> list, boolean first) {
    return list.isEmpty()
        ? new Undefined("%s: there are no elements", a.name())
        : list.get(first ? 0 : list.size() - 1);
  }

  private static Object joined(Bound a) {
    List<Object> parts = new ArrayList<>();
    MemberPath path = path(a, 2);
    for (Object element : a.elements(0)) {
      parts.add(path.in(element, a.limits()));
    }
    String separator = a.has(1) ? a.asText(1) : "";
    return TextMethods.joined(parts, separator, false, a.limits());
  }

  private static Object reversed(Bound a) {
    List<Object> all = a.elements(0);
    Collections.reverse(all);
    return a.at(0) instanceof String
        ? TextMethods.joined(all, "", true, a.limits())
        : all.iterator();
  }

  /** The path that an argument gives. */
  private static MemberPath path(Bound a, int argument) {
    return MemberPath.of(a.at(argument, null), a.limits());
  }

  /**
   * What elements are compared by: a member, of texts without regard to case unless it is asked
   * for.
   */
  private static UnaryOperator<Object> compared(Bound a, int caseSensitive, int attribute) {
    MemberPath path = path(a, attribute);
    return element -> caseless(a, path.in(element, a.limits()), caseSensitive);
  }

  private static Object caseless(Bound a, Object value, int caseSensitive) {
    return value instanceof String text && !a.flag(caseSensitive)
        ? a.made(text.toLowerCase(Locale.ROOT))
        : value;
  }

  private static Object sorted(Bound a) {
    return sorted(a, a.elements(0), compared(a, 2, 3), a.flag(1));
  }

  /** Equal ones stay in their order, backwards too. */
  private static List<Object> sorted(
      Bound a, List<Object> list, UnaryOperator<Object> by, boolean backwards) {
    record Keyed(Object key, Object element) {}
    Comparator<Keyed> order =
        (first, second) -> ValueOperations.compare(first.key, second.key, a.limits());
    a.limits().spend(list.size());
    return list.stream()
        .map(element -> new Keyed(by.apply(element), element))
        .sorted(backwards ? order.reversed() : order)
        .map(Keyed::element)
        .collect(Collectors.toCollection(ArrayList::new));
  }

  private static Object sortedItems(Bound a) {
    String by = a.has(2) ? a.text(2) : "key";
    if (!by.equals("key") && !by.equals("value")) {
      throw new Failure("dictsort: 'by' is key or value, got %s", by);
    }
    long part = by.equals("key") ? 0 : 1;
    return sorted(
        a,
        CollectionMethods.items(a.at(0), a.limits()),
        item -> caseless(a, Members.item(item, part, a.limits()), 1),
        a.flag(3));
  }

  private static Object unique(Bound a) {
    List<Object> seen = new ArrayList<>();
    List<Object> unique = new ArrayList<>();
    UnaryOperator<Object> by = compared(a, 1, 2);
    for (Object element : a.elements(0)) {
      Object value = by.apply(element);
      if (!ValueOperations.contains(seen, value, a.limits())) {
        seen.add(value);
        unique.add(element);
      }
    }
    return unique.iterator();
  }

  private static Object extreme(Bound a, boolean greatest) {
    List<Object> all = a.elements(0);
    Object best = end(a, all, true);
    UnaryOperator<Object> by = compared(a, 1, 2);
    for (Object element : all) {
      int order = ValueOperations.compare(by.apply(element), by.apply(best), a.limits());
      if (greatest ? order > 0 : order < 0) {
        best = element;
      }
    }
    return best;
  }

  private static Object sum(Bound a) {
    Object sum = a.at(2, 0L);
    MemberPath path = path(a, 1);
    for (Object element : a.elements(0)) {
      sum = Operators.value("+", sum, path.in(element, a.limits()), a.limits());
    }
    return sum;
  }

  private static Object batches(Bound a) {
    long size = a.integer(1, 0);
    if (size < 1) {
      throw new Failure("batch: 'linecount' must be at least 1, got %d", size);
    }
    List<Object> batches = new ArrayList<>();
    List<Object> all = a.elements(0);
    for (int from = 0; from < all.size(); from += (int) Math.min(size, all.size())) {
      List<Object> batch =
          new ArrayList<>(all.subList(from, (int) Math.min(all.size(), from + size)));
      if (a.at(2, null) != null) {
        a.limits().spendLength(size);
        while (batch.size() < size) {
          batch.add(a.at(2));
        }
      }
      batches.add(batch);
    }
    return batches.iterator();
  }

  private static Object groups(Bound a) {
    MemberPath path = path(a, 1);
    UnaryOperator<Object> by = element -> path.in(element, a.at(2, null), a.limits());
    UnaryOperator<Object> compared = element -> caseless(a, by.apply(element), 3);
    List<Object> all = sorted(a, a.elements(0), compared, false);
    Map<Object, Object> first = new LinkedHashMap<>();
    Map<Object, List<Object>> groups = new LinkedHashMap<>();
    for (Object element : all) {
      Object key = ValueOperations.key(compared.apply(element));
      first.putIfAbsent(key, by.apply(element));
      groups.computeIfAbsent(key, none -> new ArrayList<>()).add(element);
    }
    List<Object> result = new ArrayList<>();
    groups.forEach((key, elements) -> result.add(new Group(first.get(key), elements)));
    return result;
  }

  /** What map, select and their kind go over: of 0, false and None nothing. */
  private static List<Object> inputs(Bound a) {
    return ValueOperations.isTrue(a.at(0)) ? a.elements(0) : List.of();
  }

  private static Object mapped(Bound a) {
    List<Object> mapped = new ArrayList<>();
    Object attribute = a.named().get("attribute");
    if (attribute != null && a.rest().isEmpty()) {
      Object absent = a.named().get("default");
      MemberPath path = MemberPath.of(attribute, a.limits());
      for (Object element : inputs(a)) {
        mapped.add(path.in(element, absent, a.limits()));
      }
      return mapped.iterator();
    }
    Operation filter = named(a, "filter", ALL);
    PassedArguments arguments = new PassedArguments(a.rest(), a.named()).from(1);
    for (Object element : inputs(a)) {
      mapped.add(Markup.plain(filter.call(a.render(), arguments.after(element))));
    }
    return mapped.iterator();
  }

  /** Elements whose member, or that themselves, pass a test; without one, those that are true. */
  private static Object selected(Bound a, boolean byAttribute, boolean wanted) {
    Operation test = a.rest().isEmpty() ? null : named(a, "test", Tests.ALL);
    PassedArguments arguments =
        test == null ? null : new PassedArguments(a.rest(), a.named()).from(1);
    List<Object> selected = new ArrayList<>();
    MemberPath path = byAttribute ? path(a, 1) : MemberPath.of(null, a.limits());
    for (Object element : inputs(a)) {
      Object value = path.in(element, a.limits());
      Object result = test == null ? value : test.call(a.render(), arguments.after(value));
      if (ValueOperations.isTrue(result) == wanted) {
        selected.add(element);
      }
    }
    return selected.iterator();
  }

  /** The operation that the first argument names. */
  private static Operation named(Bound a, String what, Map<String, Operation> known) {
    if (a.rest().isEmpty()) {
      throw new Failure("%s needs the name of a %s, or attribute=", a.name(), what);
    }
    String name = TextOperations.of(a.rest().get(0), a.limits());
    Operation operation = known.get(name);
    if (operation == null) {
      throw new Failure("there is no %s '%s'", what, name);
    }
    return operation;
  }
}
