package org.prunepeft.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/** Python's integers, of 64 bits here, and floats; booleans count as 1 and 0. */
final class Numbers {
  /**
   * Steps that a float takes whose digits are found: it costs as much as some hundred evaluations.
   */
  private static final int DIGITS = 200;

  /** Digits behind the point that a double can have. */
  private static final int MOST_DIGITS = 1074;

  private Numbers() {}

  static boolean isNumber(Object value) {
    return value instanceof Number || value instanceof Boolean;
  }

  static boolean isInteger(Object value) {
    return value instanceof Long || value instanceof Boolean;
  }

  static double real(Object number) {
    return number instanceof Boolean truth ? truth ? 1 : 0 : ((Number) number).doubleValue();
  }

  static long whole(Object integer) {
    return integer instanceof Boolean truth ? truth ? 1 : 0 : (Long) integer;
  }

  /** An integer that is needed for something. */
  static Object integer(String what, Object value) {
    if (!isInteger(value)) {
      throw value instanceof Undefined undefined
          ? undefined.failure()
          : new Failure("%s must be an integer, got %s", what, ValueOperations.kind(value));
    }
    return whole(value);
  }

  /** A number as it is written in a template. */
  static Object literal(String text, boolean real) {
    String digits = text.replace("_", "");
    if (real) {
      return Double.parseDouble(digits);
    }
    String prefix = digits.length() > 1 ? digits.substring(0, 2).toLowerCase(Locale.ROOT) : "";
    int radix = prefix.equals("0b") ? 2 : prefix.equals("0o") ? 8 : prefix.equals("0x") ? 16 : 10;
    try {
      return Long.parseLong(radix == 10 ? digits : digits.substring(2), radix);
    } catch (NumberFormatException e) {
      throw new Failure("%s has more than 64 bits", text);
    }
  }

  static int compare(Object a, Object b) {
    if (isInteger(a) && isInteger(b)) {
      return Long.compare(whole(a), whole(b));
    }
    if (real(a) == real(b) && isInteger(a) != isInteger(b)) {
      // A double may stand for several integers; sorting needs one order.
      return exact(a).compareTo(exact(b));
    }
    return real(a) == real(b) ? 0 : Double.compare(real(a), real(b));
  }

  private static BigDecimal exact(Object number) {
    return isInteger(number) ? BigDecimal.valueOf(whole(number)) : new BigDecimal(real(number));
  }

  static Object signed(boolean minus, Object value) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!isNumber(value)) {
      throw new Failure("%s has no sign", ValueOperations.kind(value));
    }
    return isInteger(value)
        ? exact(
            minus ? BigInteger.valueOf(whole(value)).negate() : BigInteger.valueOf(whole(value)))
        : (Object) (minus ? -real(value) : real(value));
  }

  /** Of two numbers. */
  static Object arithmetic(String operator, Object a, Object b) {
    boolean whole = isInteger(a) && isInteger(b);
    return switch (operator) {
      case "/" -> divide(a, b);
      case "**" -> whole && whole(b) >= 0 ? power(whole(a), whole(b)) : power(real(a), real(b));
      default -> whole ? integers(operator, whole(a), whole(b)) : reals(operator, real(a), real(b));
    };
  }

  private static double divide(Object a, Object b) {
    if (real(b) == 0) {
      throw new Failure("division by zero");
    }
    return real(a) / real(b);
  }

  private static Object integers(String operator, long a, long b) {
    if (b == 0 && (operator.equals("//") || operator.equals("%"))) {
      throw new Failure("division by zero");
    }
    BigInteger left = BigInteger.valueOf(a);
    BigInteger right = BigInteger.valueOf(b);
    return switch (operator) {
      case "+" -> exact(left.add(right));
      case "-" -> exact(left.subtract(right));
      case "*" -> exact(left.multiply(right));
      case "//" -> Math.floorDiv(a, b);
      default -> Math.floorMod(a, b);
    };
  }

  private static Object reals(String operator, double a, double b) {
    if (b == 0 && (operator.equals("//") || operator.equals("%"))) {
      throw new Failure("division by zero");
    }
    return switch (operator) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "//" -> Math.floor(a / b);
      default -> a - Math.floor(a / b) * b;
    };
  }

  private static Object power(double base, double exponent) {
    if (base == 0 && exponent < 0) {
      throw new Failure("division by zero");
    }
    return Math.pow(base, exponent);
  }

  private static Object power(long base, long exponent) {
    if (Math.abs(base) > 1 && exponent > 63) {
      throw new Failure("%d ** %d has more than 64 bits", base, exponent);
    }
    // A base of -1, 0 or 1 goes by whether the exponent is 0, odd or even.
    int times = (int) (exponent > 63 ? 2 + exponent % 2 : exponent);
    return exact(BigInteger.valueOf(base).pow(times));
  }

  private static long exact(BigInteger value) {
    if (value.bitLength() > 63) {
      throw new Failure("%s has more than 64 bits", value);
    }
    return value.longValue();
  }

  /** With so many digits behind the point. */
  static String fixed(double value, int digits, Limits limits) {
    limits.spend(DIGITS);
    limits.spendLength(digits);
    int own = Math.min(digits, MOST_DIGITS);
    return new BigDecimal(value).setScale(own, RoundingMode.HALF_EVEN).toPlainString()
        + "0".repeat(digits - own);
  }

  /** Rounded as Python's round() does: to even where both are as near. */
  static double rounded(double value, long digits, Limits limits) {
    limits.spend(DIGITS);
    if (!Double.isFinite(value) || Math.abs(digits) > 300) {
      return value;
    }
    return new BigDecimal(value).setScale((int) digits, RoundingMode.HALF_EVEN).doubleValue();
  }

  /** The shortest text that reads as this number, as Python writes it. */
  static String text(double value, Limits limits) {
    limits.spend(DIGITS);
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    if (value == 0) {
      return 1 / value < 0 ? "-0.0" : "0.0";
    }
    BigDecimal exact = new BigDecimal(value);
    BigDecimal shortest = exact;
    for (int digits = 1; digits <= 17; digits++) {
      shortest = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
      if (shortest.doubleValue() == value) {
        break;
      }
    }
    shortest = shortest.stripTrailingZeros();
    int exponent = shortest.precision() - shortest.scale() - 1;
    if (exponent < -4 || exponent >= 16) {
      String digits = shortest.unscaledValue().abs().toString();
      return (value < 0 ? "-" : "")
          + digits.charAt(0)
          + (digits.length() > 1 ? "." + digits.substring(1) : "")
          + String.format(Locale.ROOT, "e%s%02d", exponent < 0 ? "-" : "+", Math.abs(exponent));
    }
    return shortest.scale() <= 0 ? shortest.toBigInteger() + ".0" : shortest.toPlainString();
  }
}
