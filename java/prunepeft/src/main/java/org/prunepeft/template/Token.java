package org.prunepeft.template;

/**
 * A piece of a template's source.
 *
 * @param text of strings without quotes and escapes, of all others as written
 * @param line in which it begins, from 1
 */
record Token(TokenType type, String text, int line) {
  boolean isName(String name) {
    return type == TokenType.NAME && text.equals(name);
  }

  boolean isOperator(String operator) {
    return type == TokenType.OPERATOR && text.equals(operator);
  }

  /** For messages. */
  String described() {
    return switch (type) {
      case TEXT -> "text";
      case OUTPUT_BEGIN, OUTPUT_END, BLOCK_BEGIN, BLOCK_END, OPERATOR -> "'" + text + "'";
      case NAME, INTEGER, FLOAT -> text;
      case STRING -> "the string '" + text + "'";
      case END -> "the template's end";
    };
  }
}
