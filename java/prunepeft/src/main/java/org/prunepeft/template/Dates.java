package org.prunepeft.template;

import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Dates as C's {@code strftime} writes them, in English. */
final class Dates {
  /** Steps that a part takes: it costs as much as some evaluations. */
  private static final int PART = 50;

  private Dates() {}

  static String text(LocalDateTime time, String format, Limits limits) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        limits.append(format.substring(i, i + 1), out);
        continue;
      }
      limits.spend(PART);
      c = format.charAt(++i);
      boolean plain = c == '-' && i + 1 < format.length();
      String part = part(time, plain ? format.charAt(++i) : c);
      limits.append(plain ? part.replaceFirst("^[0 ]+(?=.)", "") : part, out);
    }
    return out.toString();
  }

  private static String part(LocalDateTime time, char c) {
    return switch (c) {
      case 'Y' -> pattern(time, "uuuu");
      case 'y' -> pattern(time, "uu");
      case 'm' -> pattern(time, "MM");
      case 'd' -> pattern(time, "dd");
      case 'e' -> String.format(Locale.ROOT, "%2d", time.getDayOfMonth());
      case 'H' -> pattern(time, "HH");
      case 'I' -> pattern(time, "hh");
      case 'M' -> pattern(time, "mm");
      case 'S' -> pattern(time, "ss");
      case 'f' -> pattern(time, "SSSSSS");
      case 'p' -> pattern(time, "a");
      case 'A' -> pattern(time, "EEEE");
      case 'a' -> pattern(time, "EEE");
      case 'B' -> pattern(time, "MMMM");
      case 'b', 'h' -> pattern(time, "MMM");
      case 'j' -> pattern(time, "DDD");
      case 'u' -> Integer.toString(time.getDayOfWeek().getValue());
      case 'w' -> Integer.toString(time.getDayOfWeek().getValue() % 7);
      case 'V' -> String.format(Locale.ROOT, "%02d", time.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
      case 'G' -> Integer.toString(time.get(IsoFields.WEEK_BASED_YEAR));
      case 'F' -> pattern(time, "uuuu-MM-dd");
      case 'T', 'X' -> pattern(time, "HH:mm:ss");
      case 'R' -> pattern(time, "HH:mm");
      case 'D', 'x' -> pattern(time, "MM/dd/uu");
      case 'c' -> pattern(time, "EEE MMM ppd HH:mm:ss uuuu");
      case 'Z', 'z' -> "";
      case 'n' -> "\n";
      case 't' -> "\t";
      case '%' -> "%";
      default -> throw new Failure("strftime_now: %%%c is not supported", c);
    };
  }

  private static String pattern(LocalDateTime time, String pattern) {
    return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(time);
  }
}
