package org.prunepeft.template;

/**
 * A piece of a template's source.
 *
 * @param text of strings without quotes and escapes, of all others as written
 * @param line in which it begins, from 1
 */
record Token(Kind kind, String text, int line) {
  enum Kind {
    /** What is between tags. */
    TEXT,
    /** {@code {{} */
    OUTPUT_BEGIN,
    OUTPUT_END,
    /** {@code {%} */
    BLOCK_BEGIN,
    BLOCK_END,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    END
  }

  boolean isName(String name) {
    return kind == Kind.NAME && text.equals(name);
  }

  boolean isOperator(String operator) {
    return kind == Kind.OPERATOR && text.equals(operator);
  }

  /** For messages. */
  String described() {
    return switch (kind) {
      case TEXT -> "text";
      case OUTPUT_BEGIN, OUTPUT_END, BLOCK_BEGIN, BLOCK_END, OPERATOR -> "'" + text + "'";
      case NAME, INTEGER, FLOAT -> text;
      case STRING -> "the string '" + text + "'";
      case END -> "the template's end";
    };
  }
}
