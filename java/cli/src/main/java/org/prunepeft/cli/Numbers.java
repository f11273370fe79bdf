package org.prunepeft.cli;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Numbers as users write them: a whole number may end in .0. */
final class Numbers {
  private static final Pattern WHOLE = Pattern.compile("[-+]?[0-9]{1,300}(\\.0*)?");

  private Numbers() {}

  /** Has a command and its subcommands read numbers so. */
  static void register(CommandLine commandLine) {
    commandLine.registerConverter(int.class, new Converter<>(Numbers::integer));
    commandLine.registerConverter(Integer.class, new Converter<>(Numbers::integer));
    commandLine.registerConverter(long.class, new Converter<>(Numbers::whole));
    commandLine.registerConverter(Long.class, new Converter<>(Numbers::whole));
    commandLine.registerConverter(double.class, new Converter<>(Numbers::real));
    commandLine.registerConverter(Double.class, new Converter<>(Numbers::real));
  }

  /**
   * No lambda itself: JDK 17 crashes as it archives one of an interface whose class file is older
   * than Java 6, as picocli's are.
   */
  private record Converter<T>(Function<String, T> reads) implements ITypeConverter<T> {
    @Override
    public T convert(String text) {
      return reads.apply(text);
    }
  }

  /**
   * {@return a whole number, such as 3 or 3.0}
   *
   * @throws TypeConversionException if it is none, or beyond what a long takes
   */
  static long whole(String text) {
    String number = text.strip();
    try {
      if (WHOLE.matcher(number).matches()) {
        return new BigDecimal(number).longValueExact();
      }
    } catch (ArithmeticException e) {
      // Beyond what a long takes.
      throw beyond(text, Long.MIN_VALUE, Long.MAX_VALUE);
    }
    throw new TypeConversionException("'%s' is not a whole number".formatted(text));
  }

  private static int integer(String text) {
    long number = whole(text);
    if (number != (int) number) {
      throw beyond(text, Integer.MIN_VALUE, Integer.MAX_VALUE);
    }
    return (int) number;
  }

  private static TypeConversionException beyond(String text, long least, long most) {
    return new TypeConversionException(
        String.format(
            Locale.ROOT,
            text.strip().startsWith("-")
                ? "'%s' is out of range; at least %,d can be"
                : "'%s' is out of range; at most %,d can be",
            text,
            text.strip().startsWith("-") ? least : most));
  }

  /**
   * {@return a number, such as 0.25 or 1e-3}
   *
   * @throws TypeConversionException if it is none
   */
  static double real(String text) {
    try {
      return Double.parseDouble(text.strip());
    } catch (NumberFormatException e) {
      throw new TypeConversionException("'%s' is not a number".formatted(text));
    }
  }

  /**
   * {@return a share, such as 0.25 or 25 %}
   *
   * @throws TypeConversionException if it is none
   */
  static double share(String text) {
    String number = text.strip();
    if (!number.endsWith("%")) {
      return real(text);
    }
    try {
      return new BigDecimal(number.substring(0, number.length() - 1).strip())
          .movePointLeft(2)
          .doubleValue();
    } catch (NumberFormatException e) {
      throw new TypeConversionException("'%s' is not a number".formatted(text));
    }
  }
}
