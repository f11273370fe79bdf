package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;

/** A part of a template that writes or sets something. */
interface Statement {
  /** How it goes on after a statement. */
  enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  /** Asked by {@link Render#run}, which counts. */
  Flow run(Frame frame);

  record Text(String text) implements Statement {
    @Override
    public Flow run(Frame frame) {
      frame.render().write(text);
      return Flow.NEXT;
    }
  }

  record Output(Expression value) implements Statement {
    @Override
    public Flow run(Frame frame) {
      frame.render().write(TextOperations.of(frame.value(value), frame.render().limits()));
      return Flow.NEXT;
    }
  }

  record Body(List<Statement> statements) implements Statement {
    @Override
    public Flow run(Frame frame) {
      for (Statement statement : statements) {
        Flow flow = frame.render().run(statement, frame);
        if (flow != Flow.NEXT) {
          return flow;
        }
      }
      return Flow.NEXT;
    }
  }

  /** The first branch whose condition holds, else the last body. */
  record If(List<Expression> conditions, List<Statement> bodies, Statement otherwise)
      implements Statement {
    @Override
    public Flow run(Frame frame) {
      for (int i = 0; i < conditions.size(); i++) {
        if (frame.isTrue(conditions.get(i))) {
          return frame.render().run(bodies.get(i), frame);
        }
      }
      return frame.render().run(otherwise, frame);
    }
  }

  /** A condition of null lets all elements through; the last body is for no elements. */
  record For(
      int line,
      AssignmentTarget target,
      Expression of,
      Expression condition,
      Statement body,
      Statement otherwise)
      implements Statement {
    @Override
    public Flow run(Frame frame) {
      Render render = frame.render();
      Object value = frame.value(of);
      render.at(line);
      List<Object> elements = ValueOperations.elements(value, render.limits());
      if (condition != null) {
        elements = chosen(elements, frame);
      }
      if (elements.isEmpty()) {
        return render.run(otherwise, frame.inner());
      }
      Loop loop = new Loop(elements);
      while (loop.next()) {
        Frame inner = frame.inner();
        inner.set("loop", loop);
        target.set(loop.element(), inner);
        if (render.run(body, inner) == Flow.BREAK) {
          break;
        }
      }
      return Flow.NEXT;
    }

    private List<Object> chosen(List<Object> elements, Frame frame) {
      List<Object> chosen = new ArrayList<>();
      for (Object element : elements) {
        Frame inner = frame.inner();
        target.set(element, inner);
        if (inner.isTrue(condition)) {
          chosen.add(element);
        }
      }
      return chosen;
    }
  }

  /** {@code break}, {@code continue}. */
  record Jump(Flow flow) implements Statement {
    @Override
    public Flow run(Frame frame) {
      return flow;
    }
  }

  record Set(AssignmentTarget target, Expression value) implements Statement {
    @Override
    public Flow run(Frame frame) {
      target.set(frame.operand(value), frame);
      return Flow.NEXT;
    }
  }

  /** Variables for a body; their values know those outside alone. */
  record With(List<AssignmentTarget> targets, List<Expression> values, Statement body)
      implements Statement {
    @Override
    public Flow run(Frame frame) {
      Frame inner = frame.inner();
      for (int i = 0; i < targets.size(); i++) {
        targets.get(i).set(frame.value(values.get(i)), inner);
      }
      return frame.render().run(body, inner);
    }
  }

  /**
   * What a body writes goes through filters, and to a variable or, where the target is null, out.
   *
   * @param filtered an expression over the name {@link #WRITTEN}
   */
  record Capture(AssignmentTarget target, Expression filtered, Statement body)
      implements Statement {
    /** No name that a template can write. */
    static final String WRITTEN = "{}";

    @Override
    public Flow run(Frame frame) {
      Render render = frame.render();
      Frame inner = frame.inner();
      inner.set(WRITTEN, render.captured(body, frame.inner()));
      Object value = inner.value(filtered);
      if (target == null) {
        render.write(TextOperations.of(value, render.limits()));
      } else {
        target.set(value, frame);
      }
      return Flow.NEXT;
    }
  }

  record DefineMacro(Macro.Definition macro) implements Statement {
    @Override
    public Flow run(Frame frame) {
      frame.set(macro.name(), new Macro(macro, frame));
      return Flow.NEXT;
    }
  }

  /** Calls a macro to which the body is {@code caller}. */
  record CallBlock(Expression.Call call, Macro.Definition caller) implements Statement {
    @Override
    public Flow run(Frame frame) {
      Render render = frame.render();
      PassedArguments arguments = call.passed().values(frame);
      arguments.named().put(Macro.CALLER, new Macro(caller, frame));
      render.write(TextOperations.of(call.call(frame, arguments), render.limits()));
      return Flow.NEXT;
    }
  }

  /** What a model has to learn to write. */
  record GenerationBlock(Statement body) implements Statement {
    @Override
    public Flow run(Frame frame) {
      frame.render().generate(body, frame.inner());
      return Flow.NEXT;
    }
  }
}
