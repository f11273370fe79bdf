package org.prunepeft.search;

import org.prunepeft.text.Required;

/**
 * A block of layers and a type of module. A partition decides which criteria judge its modules; its
 * modules compete with all others of their type.
 *
 * @param type such as lora; not blank, without a slash
 * @param block its number, from 1, which holds the first layers
 */
public record Partition(String type, int block) implements Comparable<Partition> {
  /**
   * @throws IllegalArgumentException if the type is blank or holds a slash, or block is below 1
   */
  public Partition {
    requireType(type, "partition");
    if (block < 1) {
      throw new IllegalArgumentException(
          "block must be at least 1, got " + block + " (partition of type " + type + ")");
    }
  }

  /**
   * Reads the text form, such as {@code lora/1}.
   *
   * @param text type and block, with a slash between
   * @return the partition
   * @throws IllegalArgumentException if the text is not of that form
   */
  public static Partition parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 1 || !text.substring(slash + 1).matches("[1-9][0-9]{0,8}")) {
      throw new IllegalArgumentException(
          "a partition must be TYPE/BLOCK with blocks from 1, such as lora/1, got '" + text + "'");
    }
    return new Partition(text.substring(0, slash), Integer.parseInt(text.substring(slash + 1)));
  }

  static void requireType(String type, String where) {
    if (Required.present("a module's type", type).isBlank() || type.contains("/")) {
      throw new IllegalArgumentException(
          "a type must be a word without a slash, got '" + type + "' (" + where + ")");
    }
  }

  /** By type, then by block. */
  @Override
  public int compareTo(Partition other) {
    int byType = type.compareTo(other.type);
    return byType != 0 ? byType : Integer.compare(block, other.block);
  }

  /** The text form, such as {@code lora/1}. */
  @Override
  public String toString() {
    return type + "/" + block;
  }
}
