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
          Operation.of("safe(value)", Filters::text),
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
          Operation.of("escape(value)", a -> a.made(escaped(a.asText(0)))),
          Operation.of("e(value)", a -> a.made(escaped(a.asText(0)))),
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
                  (a.at(0) instanceof Undefined ? List.of() : CollectionMethods.items(a.at(0)))
                      .iterator()),
          Operation.of("attr(value, name)", a -> Members.attribute(a.at(0), a.text(1))),
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
      out.append(i == 0 ? "" : "\n").append(moved ? indent : "").append(line);
      a.limits().spend(line.length() + indent.length());
      if (out.length() > Limits.LENGTH) {
        throw new Failure("indent: more than %,d characters", Limits.LENGTH);
      }
    }
    return out.toString();
  }

  private static Object formatted(Bound a) {
    return Formats.percent(
        a.asText(0), a.named().isEmpty() ? new Tuple(a.rest()) : a.named(), a.limits());
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("'", "&#39;")
        .replace("\"", "&#34;");
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
              : Numbers.rounded(Numbers.real(value), digits);
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
    return number.matches("[-+]?(\\d+\\.?\\d*|\\.\\d+)([eE][-+]?\\d+)?")
        ? Double.parseDouble(number)
        : null;
  }

  private static Object end(Bound a, List<Object> list, boolean first) {
    return list.isEmpty()
        ? new Undefined("%s: there are no elements".formatted(a.name()))
        : list.get(first ? 0 : list.size() - 1);
  }

  private static Object joined(Bound a) {
    List<Object> parts = new ArrayList<>();
    for (Object element : a.elements(0)) {
      parts.add(attribute(a, element, a.at(2, null)));
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

  /** A member of an element, {@code a.b.0} for one further inside; the element itself by null. */
  private static Object attribute(Bound a, Object element, Object path) {
    return attribute(a, element, path, null);
  }

  /** The same; the default, unless it is null, stands for each member that is not there. */
  private static Object attribute(Bound a, Object element, Object path, Object absent) {
    if (path == null) {
      return element;
    }
    Object value = element;
    for (String part : TextOperations.of(path, a.limits()).split("\\.")) {
      value = Members.item(value, part.matches("\\d{1,9}") ? (Object) Long.parseLong(part) : part);
      value = value instanceof Undefined && absent != null ? absent : value;
    }
    return value;
  }

  /** What elements are compared by. */
  private static Object compared(Bound a, Object element, int caseSensitive, int attribute) {
    Object value = attribute(a, element, a.at(attribute, null));
    return value instanceof String text && !a.flag(caseSensitive)
        ? text.toLowerCase(Locale.ROOT)
        : value;
  }

  private static Object sorted(Bound a) {
    List<Object> all = a.elements(0);
    sort(a, all, element -> compared(a, element, 2, 3), a.flag(1));
    return all;
  }

  /** Equal ones stay in their order, backwards too. */
  private static void sort(
      Bound a, List<Object> list, UnaryOperator<Object> by, boolean backwards) {
    Comparator<Object> order =
        (first, second) -> ValueOperations.compare(by.apply(first), by.apply(second), a.limits());
    a.limits().spend(list.size());
    list.sort(backwards ? order.reversed() : order);
  }

  private static Object sortedItems(Bound a) {
    String by = a.has(2) ? a.text(2) : "key";
    if (!by.equals("key") && !by.equals("value")) {
      throw new Failure("dictsort: 'by' is key or value, got %s", by);
    }
    List<Object> items = CollectionMethods.items(a.at(0));
    long part = by.equals("key") ? 0 : 1;
    sort(
        a,
        items,
        item -> {
          Object value = Members.item(item, part);
          return value instanceof String text && !a.flag(1) ? text.toLowerCase(Locale.ROOT) : value;
        },
        a.flag(3));
    return items;
  }

  private static Object unique(Bound a) {
    List<Object> seen = new ArrayList<>();
    List<Object> unique = new ArrayList<>();
    for (Object element : a.elements(0)) {
      Object value = compared(a, element, 1, 2);
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
    for (Object element : all) {
      int order =
          ValueOperations.compare(compared(a, element, 1, 2), compared(a, best, 1, 2), a.limits());
      if (greatest ? order > 0 : order < 0) {
        best = element;
      }
    }
    return best;
  }

  private static Object sum(Bound a) {
    Object sum = a.at(2, 0L);
    for (Object element : a.elements(0)) {
      sum = Operators.value("+", sum, attribute(a, element, a.at(1, null)), a.limits());
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
    List<Object> all = a.elements(0);
    UnaryOperator<Object> by = element -> attribute(a, element, a.at(1), a.at(2, null));
    UnaryOperator<Object> compared =
        element -> {
          Object value = by.apply(element);
          return value instanceof String text && !a.flag(3) ? text.toLowerCase(Locale.ROOT) : value;
        };
    sort(a, all, compared, false);
    Map<Object, Object> first = new LinkedHashMap<>();
    Map<Object, List<Object>> groups = new LinkedHashMap<>();
    for (Object element : all) {
      Object key = ValueOperations.key(compared.apply(element));
      first.putIfAbsent(key, by.apply(element));
      groups.computeIfAbsent(key, none -> new ArrayList<>()).add(element);
    }
    List<Object> result = new ArrayList<>();
    groups.forEach((key, elements) -> result.add(Tuple.of(first.get(key), elements)));
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
      for (Object element : inputs(a)) {
        mapped.add(attribute(a, element, attribute, absent));
      }
      return mapped.iterator();
    }
    Operation filter = named(a, "filter", ALL);
    PassedArguments arguments = new PassedArguments(a.rest(), a.named()).from(1);
    for (Object element : inputs(a)) {
      mapped.add(filter.call(a.render(), arguments.after(element)));
    }
    return mapped.iterator();
  }

  /** Elements whose member, or that themselves, pass a test; without one, those that are true. */
  private static Object selected(Bound a, boolean byAttribute, boolean wanted) {
    Operation test = a.rest().isEmpty() ? null : named(a, "test", Tests.ALL);
    PassedArguments arguments =
        test == null ? null : new PassedArguments(a.rest(), a.named()).from(1);
    List<Object> selected = new ArrayList<>();
    for (Object element : inputs(a)) {
      Object value = byAttribute ? attribute(a, element, a.at(1)) : element;
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
