package org.prunepeft.io;

import java.util.List;

/**
 * A value of a GGUF file's metadata.
 *
 * @param type of the value, or of each element of an array
 * @param value a Long for integers (of UINT64 its bits), Float, Double, Boolean or String; a List
 *     of such for an array
 */
public record GgufValue(Type type, Object value) {
  /** What a value can be, in the order of the numbers that files have for them. */
  public enum Type {
    /** Unsigned, 8 bits. */
    UINT8(1),
    /** Signed, 8 bits. */
    INT8(1),
    /** Unsigned, 16 bits. */
    UINT16(2),
    /** Signed, 16 bits. */
    INT16(2),
    /** Unsigned, 32 bits. */
    UINT32(4),
    /** Signed, 32 bits. */
    INT32(4),
    /** IEEE 754 single precision. */
    FLOAT32(4),
    /** A byte, 0 or 1. */
    BOOL(1),
    /** UTF-8, with its length in bytes. */
    STRING(8),
    /** Elements of one type, with that type and their number. */
    ARRAY(12),
    /** Unsigned, 64 bits. */
    UINT64(8),
    /** Signed, 64 bits. */
    INT64(8),
    /** IEEE 754 double precision. */
    FLOAT64(8);

    /** In a file, at least. */
    final int bytes;

    Type(int bytes) {
      this.bytes = bytes;
    }

    private boolean holds(Object value) {
      return switch (this) {
        case UINT8, UINT16, UINT32 ->
            value instanceof Long number && number >>> bytes * Byte.SIZE == 0;
        case INT8, INT16, INT32 ->
            value instanceof Long number
                && number >> bytes * Byte.SIZE - 1 == (number < 0 ? -1 : 0);
        case UINT64, INT64 -> value instanceof Long;
        case FLOAT32 -> value instanceof Float;
        case FLOAT64 -> value instanceof Double;
        case BOOL -> value instanceof Boolean;
        case STRING -> value instanceof String;
        case ARRAY -> false;
      };
    }
  }

  /**
   * Checks that type and value agree.
   *
   * @throws IllegalArgumentException if they don't
   */
  public GgufValue {
    if (value instanceof List<?> elements) {
      value = List.copyOf(elements);
      elements.forEach(element -> require(type, element));
    } else {
      require(type, value);
    }
  }

  private static void require(Type type, Object value) {
    if (!type.holds(value)) {
      throw new IllegalArgumentException(
          "%s holds no %s"
              .formatted(
                  type,
                  value == null ? "null" : value + ", a " + value.getClass().getSimpleName()));
    }
  }

  /** {@return a STRING} */
  public static GgufValue of(String text) {
    return new GgufValue(Type.STRING, text);
  }

  /** {@return a FLOAT32} */
  public static GgufValue of(float number) {
    return new GgufValue(Type.FLOAT32, number);
  }

  /**
   * {@return a UINT32}
   *
   * @param number from 0 to 2³² - 1
   */
  public static GgufValue unsigned(long number) {
    return new GgufValue(Type.UINT32, number);
  }
}
