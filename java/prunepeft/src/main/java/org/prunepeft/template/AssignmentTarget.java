package org.prunepeft.template;

import java.util.List;

/** What a value is assigned to. */
interface AssignmentTarget {
  void set(Object value, Frame frame);

  record Variable(String name) implements AssignmentTarget {
    @Override
    public void set(Object value, Frame frame) {
      frame.set(name, value);
    }
  }

  /** A member of a namespace. */
  record NamespaceMember(int line, String namespace, String name) implements AssignmentTarget {
    @Override
    public void set(Object value, Frame frame) {
      frame.render().at(line);
      Object of = frame.get(namespace);
      if (of instanceof Undefined undefined) {
        throw undefined.failure();
      }
      if (!(of instanceof Namespace members)) {
        throw new Failure(
            "'%s' is %s; members of a namespace() alone can be set",
            namespace, ValueOperations.kind(of));
      }
      members.members().put(name, Markup.plain(value));
    }
  }

  /** One for each element. */
  record Several(int line, List<AssignmentTarget> targets) implements AssignmentTarget {
    @Override
    public void set(Object value, Frame frame) {
      frame.render().at(line);
      List<Object> elements =
          ValueOperations.elements(Markup.plain(value), frame.render().limits());
      if (elements.size() != targets.size()) {
        throw new Failure(
            "%d values are needed for as many names, got %d", targets.size(), elements.size());
      }
      for (int i = 0; i < elements.size(); i++) {
        targets.get(i).set(elements.get(i), frame);
      }
    }
  }
}
