package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** The members that a filter looks at: of {@code a.b.0} one inside the other; of none the value. */
record MemberPath(List<Object> parts) {
  private static final Pattern NUMBER = Pattern.compile("\\d{1,9}");

  /** Steps that a part takes: it costs as much as some evaluations. */
  private static final int PART = 4;

  /** A path as a template gives it; null for none. */
  static MemberPath of(Object path, Limits limits) {
    if (!(path instanceof String text)) {
      return new MemberPath(path == null ? List.of() : List.of(path));
    }
    limits.spendLength(text.length());
    List<Object> parts = new ArrayList<>();
    for (String part : text.split("\\.", -1)) {
      limits.spend(PART);
      parts.add(NUMBER.matcher(part).matches() ? (Object) Long.parseLong(part) : part);
    }
    return new MemberPath(parts);
  }

  /** What it leads to; a default, unless it is null, stands for each member that is not there. */
  Object in(Object value, Object absent, Limits limits) {
    Object found = value;
    for (Object part : parts) {
      limits.spend(PART);
      found = Members.item(found, part, limits);
      found = found instanceof Undefined && absent != null ? absent : found;
    }
    return found;
  }

  /** The same without a default. */
  Object in(Object value, Limits limits) {
    return in(value, null, limits);
  }
}
