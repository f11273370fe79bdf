package org.prunepeft.template;

import java.time.LocalDateTime;
import java.util.Map;

/** A parsed template. It does not change, so threads may share it. */
public final class Template {
  private final Statement body;

  private Template(Statement body) {
    this.body = body;
  }

  /**
   * {@return the template that a text is}
   *
   * @param source in Jinja's language; without {@code import}, {@code include}, {@code extends},
   *     {@code block} and recursive loops
   * @throws TemplateException if it is not understood; names the line
   */
  public static Template parse(String source) {
    return new Template(Parser.parse(source));
  }

  /**
   * {@return what the template writes}
   *
   * @param variables by name: texts, numbers, booleans, null, lists and maps of these, which are
   *     not changed; numbers are integers of 64 bits or doubles
   * @param now the time that {@code strftime_now} says
   * @throws TemplateException if it can't be rendered, calls {@code raise_exception}, or takes more
   *     work, text or depth than any conversation should; names the line
   */
  public Rendering render(Map<String, ?> variables, LocalDateTime now) {
    Render render = new Render(now);
    try {
      Frame frame = new Frame(render, Globals.ALL);
      variables.forEach(
          (name, value) -> frame.set(name, ValueOperations.adopted(value, render.limits())));
      render.run(body, frame);
      return render.rendering();
    } catch (Failure e) {
      throw new TemplateException(render.line(), e.getMessage());
    }
  }
}
