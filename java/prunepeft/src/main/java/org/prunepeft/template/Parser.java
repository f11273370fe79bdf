package org.prunepeft.template;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.prunepeft.template.Statement.Flow;

/** Makes statements of tokens. */
final class Parser {
  private static final Set<String> NOT_HERE =
      Set.of("include", "import", "from", "extends", "block", "do", "autoescape", "trans", "debug");

  private final TokenStream tokens;
  private final ExpressionParser expressions;

  /** Loops around, that can be left from here. */
  private int loops;

  private Parser(TokenStream tokens) {
    this.tokens = tokens;
    expressions = new ExpressionParser(tokens);
  }

  static Statement parse(String source) {
    return new Parser(new TokenStream(Lexer.tokens(source))).body(Set.of(), null, 0);
  }

  /**
   * Statements up to a tag of one of these names, whose name comes next; or to the end, if none are
   * named.
   */
  private Statement body(Set<String> ends, String of, int begin) {
    List<Statement> statements = new ArrayList<>();
    while (true) {
      Token token = tokens.next();
      switch (token.type()) {
        case TEXT -> statements.add(new Statement.Text(token.text()));
        case OUTPUT_BEGIN -> {
          statements.add(new Statement.Output(expressions.tuple()));
          tokens.expect(TokenType.OUTPUT_END, "}}");
        }
        case BLOCK_BEGIN -> {
          if (ends.contains(tokens.peek().text()) && tokens.peek().type() == TokenType.NAME) {
            return new Statement.Body(statements);
          }
          statements.add(statement());
        }
        default -> {
          if (!ends.isEmpty()) {
            throw new TemplateException(begin, "%s has no {%% end%s %%}".formatted(of, of));
          }
          return new Statement.Body(statements);
        }
      }
    }
  }

  /** The body of a block that ends by its own tag. */
  private Statement block(Token name) {
    tokens.expect(TokenType.BLOCK_END, "%}");
    Statement body = body(Set.of("end" + name.text()), name.text(), name.line());
    tokens.next();
    tokens.expect(TokenType.BLOCK_END, "%}");
    return body;
  }

  /** A body that can't be left by break or continue. */
  private Statement closedBlock(Token name) {
    int around = loops;
    loops = 0;
    Statement body = block(name);
    loops = around;
    return body;
  }

  private Statement statement() {
    Token name = tokens.expect(TokenType.NAME, "a tag's name");
    tokens.enter(name);
    Statement statement =
        switch (name.text()) {
          case "if" -> branches(name);
          case "for" -> loop(name);
          case "set" -> assignment(name);
          case "macro" -> macro(name);
          case "call" -> callBlock(name);
          case "filter" -> filterBlock(name);
          case "with" -> with(name);
          case "generation" -> new Statement.GenerationBlock(closedBlock(name));
          case "break", "continue" -> jump(name);
          case "print" -> print();
          default -> throw unknown(name);
        };
    tokens.leave();
    return statement;
  }

  private static TemplateException unknown(Token name) {
    String tag = name.text();
    String problem =
        NOT_HERE.contains(tag)
            ? "{%% %s %%} is not supported: a chat template is one file"
            : tag.startsWith("end") || tag.equals("else") || tag.equals("elif")
                ? "{%% %s %%} closes nothing"
                : "unknown tag {%% %s %%}";
    return new TemplateException(name.line(), problem.formatted(tag));
  }

  private Statement branches(Token begin) {
    List<Expression> conditions = new ArrayList<>();
    List<Statement> bodies = new ArrayList<>();
    Statement otherwise = new Statement.Body(List.of());
    String part = "elif";
    while (!part.equals("endif")) {
      if (part.equals("elif")) {
        conditions.add(expressions.tupleWithoutIf());
      }
      tokens.expect(TokenType.BLOCK_END, "%}");
      boolean last = part.equals("else");
      Statement body =
          body(last ? Set.of("endif") : Set.of("elif", "else", "endif"), "if", begin.line());
      if (last) {
        otherwise = body;
      } else {
        bodies.add(body);
      }
      part = tokens.next().text();
    }
    tokens.expect(TokenType.BLOCK_END, "%}");
    return new Statement.If(conditions, bodies, otherwise);
  }

  private Statement loop(Token begin) {
    AssignmentTarget target = target("in");
    tokens.expectName("in");
    Expression of = expressions.tupleWithoutIf();
    Expression condition = tokens.takeName("if") ? expressions.expression() : null;
    if (tokens.peek().isName("recursive")) {
      throw new TemplateException(begin.line(), "recursive loops are not supported; use a macro");
    }
    tokens.expect(TokenType.BLOCK_END, "%}");
    loops++;
    Statement body = body(Set.of("else", "endfor"), "for", begin.line());
    loops--;
    Statement otherwise = new Statement.Body(List.of());
    if (tokens.next().text().equals("else")) {
      tokens.expect(TokenType.BLOCK_END, "%}");
      otherwise = body(Set.of("endfor"), "for", begin.line());
      tokens.next();
    }
    tokens.expect(TokenType.BLOCK_END, "%}");
    return new Statement.For(begin.line(), target, of, condition, body, otherwise);
  }

  private Statement jump(Token name) {
    if (loops == 0) {
      throw new TemplateException(
          name.line(), "{%% %s %%} stands outside of a loop".formatted(name.text()));
    }
    tokens.expect(TokenType.BLOCK_END, "%}");
    return new Statement.Jump(name.text().equals("break") ? Flow.BREAK : Flow.CONTINUE);
  }

  private Statement assignment(Token name) {
    AssignmentTarget target = target("=");
    if (tokens.takeOperator("=")) {
      Expression value = expressions.tuple();
      tokens.expect(TokenType.BLOCK_END, "%}");
      return new Statement.Set(target, value);
    }
    Expression filtered =
        expressions.filters(new Expression.Name(name.line(), Statement.Capture.WRITTEN));
    return new Statement.Capture(target, filtered, closedBlock(name));
  }

  private Statement filterBlock(Token name) {
    Expression filtered =
        expressions.filter(new Expression.Name(name.line(), Statement.Capture.WRITTEN));
    return new Statement.Capture(null, expressions.filters(filtered), closedBlock(name));
  }

  private Statement print() {
    Expression value = expressions.tuple();
    tokens.expect(TokenType.BLOCK_END, "%}");
    return new Statement.Output(value);
  }

  private Statement with(Token name) {
    List<AssignmentTarget> targets = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (tokens.peek().type() != TokenType.BLOCK_END) {
      if (!targets.isEmpty()) {
        tokens.expectOperator(",");
      }
      targets.add(singleTarget());
      tokens.expectOperator("=");
      values.add(expressions.expression());
    }
    return new Statement.With(targets, values, block(name));
  }

  private Statement macro(Token name) {
    String called = tokens.expect(TokenType.NAME, "the macro's name").text();
    tokens.expectOperator("(");
    return new Statement.DefineMacro(definition(called, name));
  }

  private Statement callBlock(Token name) {
    // Parameters come before the call, the body after it.
    List<String> parameters = new ArrayList<>();
    List<Expression> defaults = new ArrayList<>();
    if (tokens.takeOperator("(")) {
      signature(parameters, defaults);
    }
    if (!(expressions.expression() instanceof Expression.Call call)) {
      throw new TemplateException(name.line(), "{% call %} needs the call of a macro");
    }
    return new Statement.CallBlock(call, definition(Macro.CALLER, parameters, defaults, name));
  }

  private Macro.Definition definition(String called, Token name) {
    List<String> parameters = new ArrayList<>();
    List<Expression> defaults = new ArrayList<>();
    signature(parameters, defaults);
    return definition(called, parameters, defaults, name);
  }

  private Macro.Definition definition(
      String called, List<String> parameters, List<Expression> defaults, Token name) {
    Set<String> around = tokens.names();
    Set<String> inside = new LinkedHashSet<>();
    tokens.collect(inside);
    Statement body = closedBlock(name);
    around.addAll(inside);
    tokens.collect(around);
    return new Macro.Definition(called, parameters, defaults, body, inside);
  }

  /** Parameters up to the closing parenthesis. */
  private void signature(List<String> parameters, List<Expression> defaults) {
    while (!tokens.takeOperator(")")) {
      if (!parameters.isEmpty()) {
        tokens.expectOperator(",");
      }
      Token parameter = tokens.expect(TokenType.NAME, "a parameter's name");
      parameters.add(parameter.text());
      if (tokens.takeOperator("=")) {
        defaults.add(expressions.expression());
      } else if (!defaults.isEmpty()) {
        throw new TemplateException(
            parameter.line(),
            "parameter '%s' needs a default, as those before it have one"
                .formatted(parameter.text()));
      }
    }
  }

  /** One or several names, up to this. */
  private AssignmentTarget target(String end) {
    int line = tokens.peek().line();
    List<AssignmentTarget> targets = new ArrayList<>();
    boolean several = false;
    do {
      if (several && (tokens.peek().isName(end) || tokens.peek().isOperator(end))) {
        break;
      }
      targets.add(singleTarget());
      several = several || tokens.peek().isOperator(",");
    } while (tokens.takeOperator(","));
    return several ? new AssignmentTarget.Several(line, targets) : targets.get(0);
  }

  private AssignmentTarget singleTarget() {
    tokens.enter(tokens.peek());
    if (tokens.takeOperator("(")) {
      AssignmentTarget inner = target(")");
      tokens.expectOperator(")");
      tokens.leave();
      return inner;
    }
    tokens.leave();
    Token name = tokens.expect(TokenType.NAME, "a variable's name");
    if (ExpressionParser.RESERVED.contains(name.text())) {
      throw new TemplateException(name.line(), "'%s' can't be assigned to".formatted(name.text()));
    }
    return tokens.takeOperator(".")
        ? new AssignmentTarget.NamespaceMember(
            name.line(), name.text(), tokens.expect(TokenType.NAME, "a member's name").text())
        : new AssignmentTarget.Variable(name.text());
  }
}
