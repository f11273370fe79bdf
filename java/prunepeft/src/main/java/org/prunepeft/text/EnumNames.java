package org.prunepeft.text;

import java.util.Locale;

/** Names of constants. */
public final class EnumNames {
  private EnumNames() {}

  /** {@return a constant's name as options and most files write it, such as {@code warm-up}} */
  public static String dashed(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
