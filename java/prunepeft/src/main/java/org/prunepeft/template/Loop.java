package org.prunepeft.template;

import java.util.List;

/** {@code loop} inside of a {@code for}. */
final class Loop {
  private final List<Object> elements;
  private int index = -1;
  private Object last = new Undefined("nothing yet");

  Loop(List<Object> elements) {
    this.elements = elements;
  }

  /** Goes to the next element; false at the end. */
  boolean next() {
    return ++index < elements.size();
  }

  Object element() {
    return elements.get(index);
  }

  Object member(String name) {
    int size = elements.size();
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> (long) size - index;
      case "revindex0" -> size - index - 1L;
      case "first" -> index == 0;
      case "last" -> index == size - 1;
      case "length" -> (long) size;
      case "depth" -> 1L;
      case "depth0" -> 0L;
      case "previtem" -> neighbour(index - 1);
      case "nextitem" -> neighbour(index + 1);
      case "cycle" -> Operation.of("cycle(*)", a -> cycle(a.rest())).on();
      case "changed" -> Operation.of("changed(*)", a -> changed(a.rest(), a.limits())).on();
      default -> new Undefined("loop has no member '%s'", name);
    };
  }

  private Object neighbour(int at) {
    return at >= 0 && at < elements.size()
        ? elements.get(at)
        : new Undefined("there is no element before the first and after the last");
  }

  private Object cycle(List<Object> values) {
    if (values.isEmpty()) {
      throw new Failure("cycle needs values");
    }
    return values.get(index % values.size());
  }

  private boolean changed(List<Object> values, Limits limits) {
    boolean changed = !ValueOperations.equal(last, values, limits);
    last = values;
    return changed;
  }
}
