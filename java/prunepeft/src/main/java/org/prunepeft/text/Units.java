package org.prunepeft.text;

import java.util.Locale;

/** Quantities for a reader, rounded to what they are worth. */
public final class Units {
  private static final double MINUTE = 60;
  private static final double HOUR = 3600;

  private Units() {}

  /** {@return seconds, such as 4.1 s, 18 s, 12 min or 3.5 h} */
  public static String seconds(double seconds) {
    if (seconds < 10) {
      return text("%.1f s", seconds);
    }
    if (seconds < 10 * MINUTE) {
      return text("%.0f s", seconds);
    }
    return seconds < 3 * HOUR ? text("%.0f min", seconds / MINUTE) : text("%.1f h", seconds / HOUR);
  }

  /** {@return seconds as milliseconds, such as 0.62 ms, 5.2 ms or 181 ms} */
  public static String milliseconds(double seconds) {
    double value = 1000 * seconds;
    return text(value < 1 ? "%.2f ms" : value < 100 ? "%.1f ms" : "%.0f ms", value);
  }

  /** {@return bytes, such as 0 MB, 0.79 MB or, of less than a hundredth of one, 0.5 kB} */
  public static String megabytes(double bytes) {
    if (bytes == 0) {
      return "0 MB";
    }
    return bytes < 1e4 ? text("%.1f kB", bytes / 1e3) : text("%.2f MB", bytes / 1e6);
  }

  /** {@return hundredths with their sign, such as +1.25} */
  public static String points(double value) {
    return text("%+.2f", 100 * value);
  }

  /** {@return an interval in hundredths, such as -0.49 to +5.43} */
  public static String points(double low, double high) {
    return points(low) + " to " + points(high);
  }

  /** {@return such as 1 epoch, 3 epochs} */
  public static String count(int count, String what) {
    return count + " " + what + (count == 1 ? "" : "s");
  }

  private static String text(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
