package org.prunepeft.template;

/** What a {@link Token} is. */
enum TokenType {
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
