package org.prunepeft.template;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Where a parser is in a template's tokens. */
final class TokenStream {
  /** Blocks and expressions inside each other. */
  private static final int DEPTH = 100;

  private final List<Token> tokens;
  private int position;
  private int depth;

  /** The names that were passed. */
  private Set<String> names = new LinkedHashSet<>();

  TokenStream(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token peek() {
    return tokens.get(position);
  }

  /** The one after the next. */
  Token peekSecond() {
    return tokens.get(Math.min(position + 1, tokens.size() - 1));
  }

  Token next() {
    Token token = peek();
    if (token.type() != TokenType.END) {
      position++;
    }
    if (token.type() == TokenType.NAME) {
      names.add(token.text());
    }
    return token;
  }

  Set<String> names() {
    return names;
  }

  /** From now on names are added to these. */
  void collect(Set<String> into) {
    names = into;
  }

  Token expect(TokenType type, String what) {
    if (peek().type() != type) {
      throw unexpected(what);
    }
    return next();
  }

  void expectName(String name) {
    if (!takeName(name)) {
      throw unexpected("'" + name + "'");
    }
  }

  void expectOperator(String operator) {
    if (!takeOperator(operator)) {
      throw unexpected("'" + operator + "'");
    }
  }

  boolean takeName(String name) {
    boolean taken = peek().isName(name);
    if (taken) {
      next();
    }
    return taken;
  }

  boolean takeOperator(String operator) {
    boolean taken = peek().isOperator(operator);
    if (taken) {
      next();
    }
    return taken;
  }

  TemplateException unexpected(String wanted) {
    return new TemplateException(
        peek().line(), "expected %s, got %s".formatted(wanted, peek().described()));
  }

  /** One level deeper; {@link #leave} goes back. */
  void enter(Token at) {
    if (++depth > DEPTH) {
      throw new TemplateException(
          at.line(), "more than %d blocks or expressions inside each other".formatted(DEPTH));
    }
  }

  void leave() {
    depth--;
  }
}
