package org.prunepeft.template;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Python's formats: {@code "%s" % value} and {@code "{}".format(value)}. */
final class Formats {
  private static final Pattern PERCENT =
      Pattern.compile("%(?:\\(([^)]*+)\\))?([-+ 0#]*+)(\\d*+)(?:\\.(\\d++))?(.)", Pattern.DOTALL);
  private static final Pattern BRACES =
      Pattern.compile("\\{\\{|\\}\\}|\\{([^{}!:]*+)(?:!([rs]))?(?::([^{}]*+))?\\}|[{}]");
  private static final Pattern SPECIFICATION =
      Pattern.compile("(?:(.)?([<>^=]))?([-+ ]?)(0?)(\\d*+)(,?)(?:\\.(\\d++))?([a-z%]?)");

  private Formats() {}

  /** Values are a tuple, a dict, or one value. */
  static String percent(String format, Object values, Limits limits) {
    List<Object> given = values instanceof Tuple tuple ? tuple : Arrays.asList(values);
    StringBuilder out = new StringBuilder();
    Matcher part = PERCENT.matcher(format);
    int at = 0;
    int used = 0;
    while (part.find()) {
      out.append(format, at, part.start());
      at = part.end();
      if (part.group(5).equals("%")) {
        out.append('%');
        continue;
      }
      Object value;
      if (part.group(1) != null) {
        value = named(ValueOperations.dict(values), part.group(1));
      } else if (used < given.size()) {
        value = given.get(used++);
      } else {
        throw new Failure("'%s' needs more than %d values", format, given.size());
      }
      String flags = part.group(2);
      boolean number = !"sr".contains(part.group(5));
      FormatSpec spec =
          new FormatSpec(
              flags.contains("0") && number && !flags.contains("-") ? '0' : ' ',
              flags.contains("-") ? '<' : flags.contains("0") && number ? '=' : '>',
              flags.contains("+") ? "+" : flags.contains(" ") ? " " : "",
              width(part.group(3)),
              part.group(4) == null ? -1 : width(part.group(4)),
              false);
      String type = part.group(5).equals("i") ? "d" : part.group(5);
      out.append(spec.apply(formatted(value, type, spec, limits), number, limits));
      limits.spendLength(out.length());
    }
    out.append(format, at, format.length());
    boolean mayBeLeft =
        values instanceof Map || values instanceof List && !(values instanceof Tuple);
    if (used < given.size() && !mayBeLeft) {
      throw new Failure("'%s' takes %d values, got %d", format, used, given.size());
    }
    return out.toString();
  }

  /** By number, in turn, or by name. */
  static String braces(
      String format, List<Object> values, Map<String, Object> byName, Limits limits) {
    StringBuilder out = new StringBuilder();
    Matcher part = BRACES.matcher(format);
    int at = 0;
    int used = 0;
    while (part.find()) {
      out.append(format, at, part.start());
      at = part.end();
      String written = part.group();
      if (written.equals("{{") || written.equals("}}")) {
        out.append(written.charAt(0));
        continue;
      }
      String name = part.group(1);
      if (name == null) {
        throw new Failure("'%s': a single '%s' must be written twice", format, written);
      }
      Object value;
      if (name.isEmpty() || name.matches("\\d{1,6}")) {
        int index = name.isEmpty() ? used++ : Integer.parseInt(name);
        if (index >= values.size()) {
          throw new Failure("'%s' needs more than %d values", format, values.size());
        }
        value = values.get(index);
      } else {
        value = named(byName, name);
      }
      if ("r".equals(part.group(2))) {
        value = represented(value, limits);
      }
      String specification = part.group(3) == null ? "" : part.group(3);
      out.append(laidOut(value, specification, limits));
      limits.spendLength(out.length());
    }
    return out.append(format, at, format.length()).toString();
  }

  private static Object named(Map<?, ?> values, String name) {
    if (!values.containsKey(name)) {
      throw new Failure("the format needs a value '%s'", name);
    }
    return values.get(name);
  }

  /** By the language of {@code format()}: fill, alignment, sign, width, precision and type. */
  private static String laidOut(Object value, String specification, Limits limits) {
    Matcher parts = SPECIFICATION.matcher(specification);
    if (!parts.matches()) {
      throw new Failure("format '%s' is not understood", specification);
    }
    boolean number =
        Numbers.isNumber(value) && !(value instanceof Boolean && specification.isEmpty());
    boolean zeros = parts.group(4).equals("0");
    String align = parts.group(2) == null ? zeros ? "=" : number ? ">" : "<" : parts.group(2);
    FormatSpec spec =
        new FormatSpec(
            parts.group(1) != null ? parts.group(1).charAt(0) : zeros ? '0' : ' ',
            align.charAt(0),
            parts.group(3).replace("-", ""),
            width(parts.group(5)),
            parts.group(7) == null ? -1 : width(parts.group(7)),
            parts.group(6).equals(","));
    String type = parts.group(8);
    if (type.isEmpty()) {
      type = !number ? "s" : Numbers.isInteger(value) ? "d" : spec.precision >= 0 ? "g" : "s";
    }
    return spec.apply(formatted(value, type, spec, limits), number, limits);
  }

  private static String formatted(Object value, String type, FormatSpec spec, Limits limits) {
    if (type.equals("s") || type.equals("r")) {
      String text =
          type.equals("r") ? represented(value, limits) : TextOperations.of(value, limits);
      return spec.precision < 0
          ? text
          : text.substring(
              0,
              text.offsetByCodePoints(
                  0, Math.min(spec.precision, text.codePointCount(0, text.length()))));
    }
    if (!Numbers.isNumber(value)) {
      throw new Failure("format '%s' takes a number, got %s", type, ValueOperations.kind(value));
    }
    double real = Numbers.real(value);
    return switch (type) {
      case "d" ->
          grouped(
              Long.toString(Numbers.isInteger(value) ? Numbers.whole(value) : (long) real), spec);
      case "x" -> Long.toString(Numbers.whole(Numbers.integer("%x", value)), 16);
      case "f" -> fixed(real, spec, limits);
      case "%" -> fixed(real * 100, spec, limits) + "%";
      default -> throw new Failure("format '%s' is not supported; s, r, d, x, f and %% are", type);
    };
  }

  private static String represented(Object value, Limits limits) {
    String list = TextOperations.of(List.of(value == null ? "" : value), limits);
    return value == null ? "None" : list.substring(1, list.length() - 1);
  }

  private static String fixed(double value, FormatSpec spec, Limits limits) {
    if (!Double.isFinite(value)) {
      return Numbers.text(value, limits);
    }
    int digits = spec.precision < 0 ? 6 : spec.precision;
    String text = Numbers.fixed(value, digits, limits);
    return grouped(text.startsWith("-") || 1 / value > 0 || value != 0 ? text : "-" + text, spec);
  }

  private static String grouped(String number, FormatSpec spec) {
    if (!spec.grouped) {
      return number;
    }
    int point = number.indexOf('.');
    int end = point < 0 ? number.length() : point;
    StringBuilder grouped = new StringBuilder(number);
    for (int i = end - 3; i > (number.startsWith("-") ? 1 : 0); i -= 3) {
      grouped.insert(i, ',');
    }
    return grouped.toString();
  }

  private static int width(String digits) {
    if (digits.length() > 6) {
      throw new Failure("a width of %s characters", digits);
    }
    return digits.isEmpty() ? 0 : Integer.parseInt(digits);
  }

  /** So many of a character. */
  static String padding(long count, char of, Limits limits) {
    limits.spendLength(Math.max(0, count));
    return String.valueOf(of).repeat((int) Math.max(0, count));
  }

  /** How a value stands in its place. */
  private record FormatSpec(
      char fill, char align, String sign, int width, int precision, boolean grouped) {
    String apply(String text, boolean number, Limits limits) {
      String signed = number && !text.startsWith("-") ? sign + text : text;
      int missing = width - signed.codePointCount(0, signed.length());
      if (missing <= 0) {
        return signed;
      }
      String padding = padding(missing, fill, limits);
      int left = missing / 2;
      int digits = number && !signed.isEmpty() && "+- ".indexOf(signed.charAt(0)) >= 0 ? 1 : 0;
      return switch (align) {
        case '<' -> signed + padding;
        case '^' -> padding.substring(0, left) + signed + padding.substring(left);
        case '=' -> signed.substring(0, digits) + padding + signed.substring(digits);
        default -> padding + signed;
      };
    }
  }
}
