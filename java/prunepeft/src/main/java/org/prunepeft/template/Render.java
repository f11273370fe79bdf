package org.prunepeft.template;

import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;

/** One rendering: what is written so far, where it is, and what it may still take. */
final class Render {
  private final LocalDateTime now;
  private final Limits limits = new Limits();
  private final StringBuilder text = new StringBuilder();
  private final List<Rendering.Range> generated = new ArrayList<>();

  /** Where output goes: the text, or what a block around keeps for itself. */
  private StringBuilder out = text;

  private int line = 1;

  Render(LocalDateTime now) {
    this.now = now;
  }

  LocalDateTime now() {
    return now;
  }

  Limits limits() {
    return limits;
  }

  int line() {
    return line;
  }

  /** Says which line is at work. */
  void at(int number) {
    line = number;
  }

  Object value(Expression expression, Frame frame) {
    limits.enter();
    line = expression.line();
    Object value = expression.value(frame);
    limits.leave();
    return value;
  }

  Statement.Flow run(Statement statement, Frame frame) {
    limits.enter();
    Statement.Flow flow = statement.run(frame);
    limits.leave();
    return flow;
  }

  void write(String part) {
    limits.append(part, out);
  }

  /** What a statement writes, which is kept from the text. */
  String captured(Statement statement, Frame frame) {
    StringBuilder outer = out;
    out = new StringBuilder();
    run(statement, frame);
    String written = out.toString();
    out = outer;
    return written;
  }

  /** Runs a statement, and notes what it wrote as generated. */
  void generate(Statement statement, Frame frame) {
    int from = out.length();
    run(statement, frame);
    if (out == text) {
      generated.add(new Rendering.Range(from, out.length()));
    }
  }

  Rendering rendering() {
    return new Rendering(text.toString(), generated);
  }
}
