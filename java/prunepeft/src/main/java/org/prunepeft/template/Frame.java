package org.prunepeft.template;

import java.util.HashMap;
import java.util.Map;

/** The variables of a part of a template; those of the parts around it can be read. */
final class Frame {
  private final Render render;
  private final Frame parent;
  private final Map<String, Object> variables;

  /** The outermost, in which these variables can be read. */
  Frame(Render render, Map<String, ?> globals) {
    this(render, new Frame(render, null, new HashMap<>(globals)), new HashMap<>());
  }

  private Frame(Render render, Frame parent, Map<String, Object> variables) {
    this.render = render;
    this.parent = parent;
    this.variables = variables;
  }

  Render render() {
    return render;
  }

  Frame inner() {
    return new Frame(render, this, new HashMap<>());
  }

  void set(String name, Object value) {
    variables.put(name, value);
  }

  Object get(String name) {
    for (Frame frame = this; frame != null; frame = frame.parent) {
      render.limits().spend(1);
      Object value = frame.variables.get(name);
      if (value != null || frame.variables.containsKey(name)) {
        return value;
      }
    }
    return new Undefined("'%s' is undefined", name);
  }

  Object value(Expression expression) {
    return Markup.plain(render.value(expression, this));
  }

  /** The same, which may be a {@link Markup}. */
  Object operand(Expression expression) {
    return render.value(expression, this);
  }

  /** The value of an expression of which nothing may be left out. */
  boolean isTrue(Expression expression) {
    return ValueOperations.isTrue(value(expression));
  }
}
