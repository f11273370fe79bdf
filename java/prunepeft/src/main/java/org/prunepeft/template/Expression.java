package org.prunepeft.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A part of a template that has a value. */
interface Expression {
  /** In which it begins, from 1. */
  int line();

  /** Asked by {@link Frame#value}, which counts. */
  Object value(Frame frame);

  record Literal(int line, Object value) implements Expression {
    @Override
    public Object value(Frame frame) {
      return value;
    }
  }

  record Name(int line, String name) implements Expression {
    @Override
    public Object value(Frame frame) {
      return frame.get(name);
    }
  }

  record Sequence(int line, boolean tuple, List<Expression> items) implements Expression {
    @Override
    public Object value(Frame frame) {
      List<Object> values = values(items, frame);
      return tuple ? new Tuple(values) : values;
    }
  }

  record Dict(int line, List<Expression> keys, List<Expression> values) implements Expression {
    @Override
    public Object value(Frame frame) {
      Map<Object, Object> dict = new LinkedHashMap<>();
      for (int i = 0; i < keys.size(); i++) {
        dict.put(ValueOperations.key(frame.value(keys.get(i))), frame.value(values.get(i)));
      }
      return dict;
    }
  }

  record Attribute(int line, Expression of, String name) implements Expression {
    @Override
    public Object value(Frame frame) {
      Object value = frame.value(of);
      frame.render().at(line);
      return Members.attribute(value, name);
    }
  }

  record Item(int line, Expression of, Expression index) implements Expression {
    @Override
    public Object value(Frame frame) {
      Object value = frame.value(of);
      Object at = frame.value(index);
      frame.render().at(line);
      return Members.item(value, at, frame.render().limits());
    }
  }

  /** Bounds and step may be null. */
  record Slice(int line, Expression of, Expression from, Expression to, Expression step)
      implements Expression {
    @Override
    public Object value(Frame frame) {
      Object value = frame.value(of);
      Long first = bound(from, frame);
      Long last = bound(to, frame);
      Long by = bound(step, frame);
      frame.render().at(line);
      return Members.slice(value, first, last, by, frame.render().limits());
    }

    private static Long bound(Expression bound, Frame frame) {
      Object value = bound == null ? null : frame.value(bound);
      return value == null ? null : (Long) Numbers.integer("a slice's bound", value);
    }
  }

  /**
   * The arguments of a call as they are written.
   *
   * @param spread a list whose elements are further arguments; null for none
   * @param spreadNamed a dict whose members are further named arguments; null for none
   */
  record Passed(
      List<Expression> positional,
      Map<String, Expression> named,
      Expression spread,
      Expression spreadNamed) {
    static final Passed NOTHING = new Passed(List.of(), Map.of(), null, null);

    PassedArguments values(Frame frame) {
      List<Object> values = Expression.values(positional, frame);
      Map<String, Object> byName = new LinkedHashMap<>();
      named.forEach((name, value) -> byName.put(name, frame.value(value)));
      if (spread != null) {
        values.addAll(ValueOperations.elements(frame.value(spread), frame.render().limits()));
      }
      if (spreadNamed != null) {
        Map<Object, Object> spreadOut = ValueOperations.dict(frame.value(spreadNamed));
        frame.render().limits().spendLength(spreadOut.size());
        spreadOut.forEach((name, value) -> byName.put(String.valueOf(name), value));
      }
      return new PassedArguments(values, byName);
    }
  }

  record Call(int line, Expression of, Passed passed) implements Expression {
    @Override
    public Object value(Frame frame) {
      return call(frame, passed.values(frame));
    }

    /** With arguments beside those that are written. */
    Object call(Frame frame, PassedArguments arguments) {
      Object function = frame.value(of);
      frame.render().at(line);
      if (function instanceof Callable callable) {
        return callable.call(frame.render(), arguments);
      }
      if (function instanceof Undefined undefined) {
        throw undefined.failure();
      }
      throw new Failure("%s can't be called", ValueOperations.kind(function));
    }
  }

  record Filter(int line, Expression value, Operation filter, Passed passed) implements Expression {
    @Override
    public Object value(Frame frame) {
      Object filtered = frame.value(value);
      PassedArguments arguments = passed.values(frame);
      frame.render().at(line);
      return filter.call(frame.render(), arguments.after(filtered));
    }
  }

  record Test(int line, Expression value, Operation test, Passed passed) implements Expression {
    @Override
    public Object value(Frame frame) {
      Object tested = frame.value(value);
      PassedArguments arguments = passed.values(frame);
      frame.render().at(line);
      return test.call(frame.render(), arguments.after(tested));
    }
  }

  record Not(int line, Expression value) implements Expression {
    @Override
    public Object value(Frame frame) {
      return !frame.isTrue(value);
    }
  }

  /** A minus or plus sign. */
  record Sign(int line, boolean minus, Expression value) implements Expression {
    @Override
    public Object value(Frame frame) {
      return Numbers.signed(minus, frame.value(value));
    }
  }

  /** {@code and}, {@code or}: the operand that decides. */
  record Logic(int line, boolean and, Expression left, Expression right) implements Expression {
    @Override
    public Object value(Frame frame) {
      Object value = frame.operand(left);
      return ValueOperations.isTrue(Markup.plain(value)) == and ? frame.operand(right) : value;
    }
  }

  record Arithmetic(int line, String operator, Expression left, Expression right)
      implements Expression {
    @Override
    public Object value(Frame frame) {
      Object first = frame.operand(left);
      Object second = frame.operand(right);
      frame.render().at(line);
      return Operators.value(operator, first, second, frame.render().limits());
    }
  }

  /** {@code a < b <= c}: each operand is evaluated once, up to the first that fails. */
  record Compare(int line, Expression first, List<String> operators, List<Expression> operands)
      implements Expression {
    @Override
    public Object value(Frame frame) {
      Object left = frame.value(first);
      for (int i = 0; i < operators.size(); i++) {
        Object right = frame.value(operands.get(i));
        frame.render().at(line);
        if (!Operators.holds(operators.get(i), left, right, frame.render().limits())) {
          return false;
        }
        left = right;
      }
      return true;
    }
  }

  record Concatenation(int line, List<Expression> parts) implements Expression {
    @Override
    public Object value(Frame frame) {
      Limits limits = frame.render().limits();
      StringBuilder all = new StringBuilder();
      for (Expression part : parts) {
        String text = TextOperations.of(frame.value(part), limits);
        limits.append(text, all);
      }
      return all.toString();
    }
  }

  /** {@code a if condition else b}; without {@code else} (null) undefined. */
  record Conditional(int line, Expression condition, Expression then, Expression otherwise)
      implements Expression {
    @Override
    public Object value(Frame frame) {
      if (frame.isTrue(condition)) {
        return frame.operand(then);
      }
      return otherwise == null
          ? new Undefined("the inline if is false and has no else")
          : frame.operand(otherwise);
    }
  }

  private static List<Object> values(List<Expression> expressions, Frame frame) {
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expression expression : expressions) {
      values.add(frame.value(expression));
    }
    return values;
  }
}
