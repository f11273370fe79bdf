package org.prunepeft.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/** Makes expressions of tokens, with Jinja's precedence. */
final class ExpressionParser {
  /** Names that are values or operators. */
  static final Set<String> RESERVED =
      Set.of(
          "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if",
          "else");

  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

  /** What ends the argument that a test has without parentheses. */
  private static final Set<String> AFTER_TEST =
      Set.of("else", "or", "and", "if", "is", "in", "not");

  private final TokenStream tokens;

  ExpressionParser(TokenStream tokens) {
    this.tokens = tokens;
  }

  /** With {@code a if b else c}. */
  Expression expression() {
    tokens.enter(tokens.peek());
    Expression value = or();
    while (tokens.peek().isName("if")) {
      int line = tokens.next().line();
      Expression condition = or();
      Expression otherwise = tokens.takeName("else") ? expression() : null;
      value = new Expression.Conditional(line, condition, value, otherwise);
    }
    tokens.leave();
    return value;
  }

  /** One expression, or several with commas between them as a tuple. */
  Expression tuple() {
    return tuple(this::expression);
  }

  /** The same; an {@code if} is left for what comes next. */
  Expression tupleWithoutIf() {
    return tuple(this::or);
  }

  private Expression tuple(Supplier<Expression> part) {
    int line = tokens.peek().line();
    Expression first = part.get();
    if (!tokens.peek().isOperator(",")) {
      return first;
    }
    List<Expression> items = new ArrayList<>(List.of(first));
    while (tokens.takeOperator(",") && !endsTuple()) {
      items.add(part.get());
    }
    return new Expression.Sequence(line, true, items);
  }

  private boolean endsTuple() {
    Token next = tokens.peek();
    return next.type() == TokenType.BLOCK_END
        || next.type() == TokenType.OUTPUT_END
        || next.isOperator(")")
        || next.isName("if");
  }

  private Expression or() {
    Expression left = and();
    while (tokens.peek().isName("or")) {
      left = new Expression.Logic(tokens.next().line(), false, left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (tokens.peek().isName("and")) {
      left = new Expression.Logic(tokens.next().line(), true, left, not());
    }
    return left;
  }

  private Expression not() {
    if (!tokens.peek().isName("not")) {
      return comparison();
    }
    Token not = tokens.next();
    tokens.enter(not);
    Expression value = new Expression.Not(not.line(), not());
    tokens.leave();
    return value;
  }

  private Expression comparison() {
    int line = tokens.peek().line();
    Expression first = sum();
    List<String> operators = new ArrayList<>();
    List<Expression> operands = new ArrayList<>();
    for (String operator = comparing(); operator != null; operator = comparing()) {
      operators.add(operator);
      operands.add(sum());
    }
    return operators.isEmpty() ? first : new Expression.Compare(line, first, operators, operands);
  }

  /** Takes the operator of a comparison; null if there is none. */
  private String comparing() {
    Token next = tokens.peek();
    if (next.type() == TokenType.OPERATOR && COMPARISONS.contains(next.text())) {
      return tokens.next().text();
    }
    if (next.isName("not") && tokens.peekSecond().isName("in")) {
      tokens.next();
      tokens.next();
      return "not in";
    }
    return tokens.takeName("in") ? "in" : null;
  }

  private Expression sum() {
    return chain(Set.of("+", "-"), this::concatenation);
  }

  private Expression concatenation() {
    int line = tokens.peek().line();
    Expression first = product();
    if (!tokens.peek().isOperator("~")) {
      return first;
    }
    List<Expression> parts = new ArrayList<>(List.of(first));
    while (tokens.takeOperator("~")) {
      parts.add(product());
    }
    return new Expression.Concatenation(line, parts);
  }

  private Expression product() {
    return chain(Set.of("*", "/", "//", "%"), this::power);
  }

  private Expression power() {
    return chain(Set.of("**"), () -> signed(true));
  }

  private Expression chain(Set<String> operators, Supplier<Expression> operand) {
    Expression left = operand.get();
    while (tokens.peek().type() == TokenType.OPERATOR && operators.contains(tokens.peek().text())) {
      Token operator = tokens.next();
      left = new Expression.Arithmetic(operator.line(), operator.text(), left, operand.get());
    }
    return left;
  }

  private Expression signed(boolean filtered) {
    Token sign = tokens.peek();
    Expression value;
    if (sign.isOperator("-") || sign.isOperator("+")) {
      tokens.next();
      tokens.enter(sign);
      value = new Expression.Sign(sign.line(), sign.isOperator("-"), signed(false));
      tokens.leave();
    } else {
      value = primary();
    }
    value = members(value);
    return filtered ? filtersAndTests(value) : value;
  }

  private Expression primary() {
    Token token = tokens.next();
    return switch (token.type()) {
      case NAME -> name(token);
      case STRING -> new Expression.Literal(token.line(), strings(token));
      case INTEGER, FLOAT -> new Expression.Literal(token.line(), number(token));
      case OPERATOR ->
          switch (token.text()) {
            case "(" -> parenthesis(token);
            case "[" -> list(token);
            case "{" -> dict(token);
            default -> throw unexpected(token);
          };
      default -> throw unexpected(token);
    };
  }

  private static TemplateException unexpected(Token token) {
    return new TemplateException(
        token.line(), "expected a value, got %s".formatted(token.described()));
  }

  private static Expression name(Token token) {
    int line = token.line();
    return switch (token.text()) {
      case "true", "True" -> new Expression.Literal(line, true);
      case "false", "False" -> new Expression.Literal(line, false);
      case "none", "None" -> new Expression.Literal(line, null);
      case "and", "or", "not", "in", "is", "if", "else" -> throw unexpected(token);
      default -> new Expression.Name(line, token.text());
    };
  }

  /** Strings beside each other are one. */
  private String strings(Token first) {
    StringBuilder all = new StringBuilder(first.text());
    while (tokens.peek().type() == TokenType.STRING) {
      all.append(tokens.next().text());
    }
    return all.toString();
  }

  private static Object number(Token token) {
    try {
      return Numbers.literal(token.text(), token.type() == TokenType.FLOAT);
    } catch (Failure e) {
      throw new TemplateException(token.line(), e.getMessage());
    }
  }

  private Expression parenthesis(Token begin) {
    if (tokens.takeOperator(")")) {
      return new Expression.Sequence(begin.line(), true, List.of());
    }
    Expression value = tuple();
    tokens.expectOperator(")");
    return value;
  }

  private Expression list(Token begin) {
    List<Expression> items = new ArrayList<>();
    while (!tokens.takeOperator("]")) {
      if (!items.isEmpty()) {
        tokens.expectOperator(",");
        if (tokens.takeOperator("]")) {
          break;
        }
      }
      items.add(expression());
    }
    return new Expression.Sequence(begin.line(), false, items);
  }

  private Expression dict(Token begin) {
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!tokens.takeOperator("}")) {
      if (!keys.isEmpty()) {
        tokens.expectOperator(",");
        if (tokens.takeOperator("}")) {
          break;
        }
      }
      keys.add(expression());
      tokens.expectOperator(":");
      values.add(expression());
    }
    return new Expression.Dict(begin.line(), keys, values);
  }

  private Expression members(Expression of) {
    Expression value = of;
    while (true) {
      Token token = tokens.peek();
      if (tokens.takeOperator(".")) {
        value = member(token.line(), value);
      } else if (tokens.takeOperator("[")) {
        value = subscript(token.line(), value);
      } else if (tokens.takeOperator("(")) {
        value = new Expression.Call(token.line(), value, passed());
      } else {
        return value;
      }
    }
  }

  private Expression member(int line, Expression of) {
    Token name = tokens.next();
    return switch (name.type()) {
      case NAME -> new Expression.Attribute(line, of, name.text());
      case INTEGER -> new Expression.Item(line, of, new Expression.Literal(line, number(name)));
      default ->
          throw new TemplateException(
              line, "expected a member's name, got %s".formatted(name.described()));
    };
  }

  private Expression subscript(int line, Expression of) {
    Expression from = tokens.peek().isOperator(":") ? null : tuple();
    if (from != null && tokens.takeOperator("]")) {
      return new Expression.Item(line, of, from);
    }
    tokens.expectOperator(":");
    Expression to = bound();
    Expression step = tokens.takeOperator(":") ? bound() : null;
    tokens.expectOperator("]");
    return new Expression.Slice(line, of, from, to, step);
  }

  private Expression bound() {
    Token next = tokens.peek();
    return next.isOperator(":") || next.isOperator("]") ? null : expression();
  }

  /** Arguments up to the closing parenthesis. */
  private Expression.Passed passed() {
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    Expression spread = null;
    Expression spreadNamed = null;
    boolean first = true;
    while (!tokens.takeOperator(")")) {
      if (!first) {
        tokens.expectOperator(",");
        if (tokens.takeOperator(")")) {
          break;
        }
      }
      first = false;
      Token token = tokens.peek();
      if (tokens.takeOperator("*")) {
        spread = expression();
      } else if (tokens.takeOperator("**")) {
        spreadNamed = expression();
      } else if (token.type() == TokenType.NAME && tokens.peekSecond().isOperator("=")) {
        tokens.next();
        tokens.next();
        if (named.put(token.text(), expression()) != null) {
          throw new TemplateException(
              token.line(), "argument '%s' is given twice".formatted(token.text()));
        }
      } else if (named.isEmpty() && spread == null && spreadNamed == null) {
        positional.add(expression());
      } else {
        throw new TemplateException(
            token.line(), "arguments without a name go before those with one");
      }
    }
    return new Expression.Passed(positional, named, spread, spreadNamed);
  }

  private Expression filtersAndTests(Expression of) {
    Expression value = of;
    while (true) {
      Token token = tokens.peek();
      if (tokens.takeOperator("|")) {
        value = filter(value);
      } else if (tokens.takeName("is")) {
        value = test(token.line(), value);
      } else if (tokens.takeOperator("(")) {
        value = new Expression.Call(token.line(), value, passed());
      } else {
        return value;
      }
    }
  }

  /** A value and the filters behind it. */
  Expression filters(Expression of) {
    Expression value = of;
    while (tokens.takeOperator("|")) {
      value = filter(value);
    }
    return value;
  }

  /** A filter whose bar has been taken. */
  Expression filter(Expression value) {
    Token name = tokens.expect(TokenType.NAME, "a filter's name");
    Expression.Passed passed = tokens.takeOperator("(") ? passed() : Expression.Passed.NOTHING;
    return new Expression.Filter(name.line(), value, known(name, "filter", Filters.ALL), passed);
  }

  private Expression test(int line, Expression value) {
    boolean negated = tokens.takeName("not");
    Token name = tokens.expect(TokenType.NAME, "a test's name");
    Operation test = known(name, "test", Tests.ALL);
    Token next = tokens.peek();
    Expression.Passed passed = Expression.Passed.NOTHING;
    if (tokens.takeOperator("(")) {
      passed = passed();
    } else if (beginsArgument(next)) {
      passed = new Expression.Passed(List.of(members(primary())), Map.of(), null, null);
    }
    Expression result = new Expression.Test(line, value, test, passed);
    return negated ? new Expression.Not(line, result) : result;
  }

  private static boolean beginsArgument(Token token) {
    return switch (token.type()) {
      case NAME -> !AFTER_TEST.contains(token.text());
      case STRING, INTEGER, FLOAT -> true;
      case OPERATOR -> token.text().equals("[") || token.text().equals("{");
      default -> false;
    };
  }

  /** One that is not known fails where it is called: a template may ask whether it is there. */
  private static Operation known(Token name, String what, Map<String, Operation> known) {
    Operation operation = known.get(name.text());
    return operation != null
        ? operation
        : Operation.of(
            name.text() + "(*, **)",
            arguments -> {
              throw new Failure("there is no %s '%s'", what, name.text());
            });
  }
}
