package org.prunepeft.template;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A macro with the variables around its definition. */
record Macro(Definition definition, Frame around) implements Callable {
  static final String CALLER = "caller";

  /**
   * A macro as it is written.
   *
   * @param defaults of the last parameters, one each
   * @param body that writes its value
   * @param uses all names in the body: whether it takes more arguments than it has parameters
   */
  record Definition(
      String name,
      List<String> parameters,
      List<Expression> defaults,
      Statement body,
      Set<String> uses) {}

  @Override
  public String name() {
    return definition.name;
  }

  @Override
  public Object call(Render render, PassedArguments arguments) {
    Frame frame = around.inner();
    Map<Object, Object> named = new LinkedHashMap<>(arguments.named());
    List<String> parameters = definition.parameters;
    List<Object> positional = arguments.positional();
    for (int i = 0; i < parameters.size(); i++) {
      String parameter = parameters.get(i);
      if (i < positional.size()) {
        if (named.containsKey(parameter)) {
          throw new Failure("macro %s gets '%s' twice", name(), parameter);
        }
        frame.set(parameter, positional.get(i));
      } else {
        frame.set(
            parameter, named.containsKey(parameter) ? named.remove(parameter) : absent(i, frame));
      }
    }
    Object caller = named.remove(CALLER);
    List<Object> rest =
        positional.subList(Math.min(parameters.size(), positional.size()), positional.size());
    require(CALLER, caller == null, "has no {{ caller() }}, so it can't be used in a call block");
    require(
        "varargs",
        rest.isEmpty(),
        "takes %d arguments, got %d",
        parameters.size(),
        positional.size());
    require("kwargs", named.isEmpty(), "has no parameters %s", named.keySet());
    frame.set("varargs", new Tuple(rest));
    frame.set("kwargs", named);
    frame.set(CALLER, caller == null ? new Undefined("'caller' is undefined") : caller);
    return render.captured(definition.body, frame);
  }

  private Object absent(int parameter, Frame frame) {
    int first = definition.parameters.size() - definition.defaults.size();
    return parameter >= first
        ? frame.value(definition.defaults.get(parameter - first))
        : new Undefined(
            "parameter '%s' of macro %s was not given",
            definition.parameters.get(parameter), name());
  }

  private void require(String use, boolean absent, String problem, Object... arguments) {
    if (!absent && !definition.uses.contains(use)) {
      throw new Failure("macro %s %s", name(), problem.formatted(arguments));
    }
  }
}
